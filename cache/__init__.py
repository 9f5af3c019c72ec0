"""The answer cache: the keys of answers, and a Redis that may fail at any time."""
