"""Folders: which pictures are meant, in which words they are asked about, what is written beside them."""
