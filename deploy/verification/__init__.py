"""`deploy/verify-image`: builds both images, and tries them as an operator and as clients would."""
