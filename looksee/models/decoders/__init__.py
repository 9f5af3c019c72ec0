"""The language models, written out over the decoding core; their weights are taken from transformers' modules."""
