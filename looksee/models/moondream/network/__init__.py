"""Moondream2's modules, their checkpoint, and the decoder's cache."""
