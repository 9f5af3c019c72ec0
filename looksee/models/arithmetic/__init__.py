"""What a model computes with: what the machine has, and the rules that make a device, a dtype and layers of it."""
