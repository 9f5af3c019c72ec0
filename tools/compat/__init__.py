"""Client programs as their registries have them, each asked to describe drawn scenes: what `make compat` runs."""
