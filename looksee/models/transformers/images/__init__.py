"""RGB images to the tensors that a vision tower takes: resized, cut into tiles, normalised."""
