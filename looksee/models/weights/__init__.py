"""Where weights come from: the bundled samples, the Hugging Face hub, or a directory."""
