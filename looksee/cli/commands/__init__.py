"""The commands of `looksee` beside those about folders."""
