"""Moondream2 (revision 2025-06-21) in code of our own: a vision tower, a text model, and heads for places.

    config, sequence_items <- network <- crops <- decoding <- model       no room imports one to its right

An image becomes crops, image tokens, and the prefix of a sequence; a job's prompt and the sampled items follow it. The
class is in `looksee.models.moondream.model`; importing the package loads nothing.
"""
