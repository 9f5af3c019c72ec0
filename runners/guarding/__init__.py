"""A model is watched, callers show a key, and a process that is of no use any more ends."""
