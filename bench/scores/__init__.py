"""What a confidence means: how often answers are right, by how sure the model was of them, on scenes it never saw."""
