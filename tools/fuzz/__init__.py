"""Damaged pictures, grown from sound ones by rule, through the decoding as the service does it.

Each must give a clear error or the right picture, with no more work than its pixels need, and leave nothing behind.
"""
