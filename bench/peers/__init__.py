"""One decoder in this project's core and in other engines for CPUs, in one run."""
