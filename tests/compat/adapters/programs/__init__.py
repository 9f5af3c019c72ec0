"""What runs in the environments of the programs: each module uses one package, and prints what it got as JSON."""
