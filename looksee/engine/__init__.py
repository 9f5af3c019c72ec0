"""Continuous batching: the loop, the running batch, admission, its metrics. No torch, no BentoML."""
