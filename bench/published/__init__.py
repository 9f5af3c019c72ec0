"""Models at their published sizes on this machine, with random weights: pace and memory."""
