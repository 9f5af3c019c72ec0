"""Around the whole app: request ids, keys, limits, deadlines, the access log."""
