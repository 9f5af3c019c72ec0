"""The doors: one module for each HTTP dialect, wired together in `api.app`."""
