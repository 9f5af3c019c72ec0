"""One module an API: its routes."""
