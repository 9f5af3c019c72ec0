"""The network's modules, the loading of their checkpoint, and the KV cache that they write."""
