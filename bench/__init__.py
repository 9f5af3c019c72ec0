"""Benchmarks: how fast the service is beside a plain server, in one run on one machine."""
