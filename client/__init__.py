"""The `looksee` command line."""
