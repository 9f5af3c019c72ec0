"""The middleware around the whole app: request ids, access control, limits, deadlines, the access log."""
