"""What all BentoML processes share: patches of BentoML, and the format of the log."""
