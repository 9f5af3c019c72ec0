"""What BentoML's processes share: the parts of BentoML that are set right, and the form of the log."""
