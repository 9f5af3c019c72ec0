"""Weights that are there before anybody asks, and how long they stay."""
