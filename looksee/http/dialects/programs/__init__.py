"""APIs that a single program has for services of its kind, each under a path of its own."""
