"""Moondream2 (revision 2025-06-21) in our own words: one vision tower, one text model, and heads for places.

    pictures -> tiling -> vision -> stitching -> text          a picture becomes the prefix of a sequence
    prompts -> pieces -> text -> rows                          a skill's prompt, and what is read after it
    model                                                      rows of all skills behind the five verbs

Nothing is loaded by importing the package; `looksee.models.moondream.model` has the class.
"""
