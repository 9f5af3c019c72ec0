"""Models of the published sizes with random weights: what takes time and memory is there, only no sense."""
