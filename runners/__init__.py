"""Serving a model: the engine that batches, the runner around it, one BentoML service for each model."""
