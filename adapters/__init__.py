"""Looksee in programs that have an interface of their own: each module is for one, and needs its package and httpx.

They are clients: they talk to a running service over its public HTTP API, and import nothing of it, so that they run in
the program's own environment.
"""
