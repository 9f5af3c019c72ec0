"""From a model's outcome to a response, whatever the dialect."""
