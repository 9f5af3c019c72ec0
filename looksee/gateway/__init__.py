"""Answers to jobs: from the cache, from an identical job under way, or from a model's runner."""
