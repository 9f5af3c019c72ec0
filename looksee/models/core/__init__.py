"""The decoding core that all models share: the KV cache of a batch, a pass through a decoder's layers, its steps."""
