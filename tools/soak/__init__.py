"""A long run against a real service while parts of it fail: whether each answer belongs to its picture, and what grows.

What each question is answered alone, without a cache, is asked first. Then many callers ask the same in every dialect,
with pictures that the cache has and has not seen. An answer that differs is the answer of another picture.
"""
