"""The KV cache of a running batch, cached image prefixes, and decode steps, eager or as CUDA graphs."""
