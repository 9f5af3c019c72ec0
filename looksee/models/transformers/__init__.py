"""Models on transformers' architectures: BLIP, BLIP-2, Gemma 3, InternVL3."""
