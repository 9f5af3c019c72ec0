"""The models whose network is transformers' own: BLIP, BLIP-2, Gemma 3, InternVL3."""
