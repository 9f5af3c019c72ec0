"""What guards a runner."""
