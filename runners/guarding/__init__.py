"""A model is watched; a process that is of no use any more ends."""
