"""Where weights come from: the samples, the hub, a directory."""
