"""What maintainers run to keep the tree in order. The service imports nothing of it."""
