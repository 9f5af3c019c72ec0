"""Linear layers for CPUs: weights laid out for oneDNN once, and weights of 8 bits. They replace a model's own."""
