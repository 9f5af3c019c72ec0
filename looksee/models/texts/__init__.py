"""What token ids say: decoding as they come, repetition, and how a row ends by its text."""
