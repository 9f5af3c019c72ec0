"""The way to the runners of a model: which one, in which call, and what happens when one is lost."""
