"""A running batch's cache, and decode steps as they are or as CUDA graphs."""
