"""Each model at its published size on a device: pictures, prompts and decode steps, beside what the device can do.

Needs torch, transformers, safetensors, Pillow and NumPy alone.
"""
