"""The `looksee` command."""
