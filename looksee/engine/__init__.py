"""Continuous batching: the loop, the running batch, its budget, the prefill policy, metrics. No torch, no BentoML."""
