"""From an image file to image tokens: cutting into crops, encoding them, merging their features."""
