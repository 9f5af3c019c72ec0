"""The drawn world: scenes, and what is asked about them."""
