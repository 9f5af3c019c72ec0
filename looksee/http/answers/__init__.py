"""From a model's answer to a response: what several dialects share."""
