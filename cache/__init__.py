"""The lookaside cache: what an answer is stored under, and a Redis that may be gone at any time."""
