"""What a program that asks the service needs (`from looksee import picture`), and everything that is installed."""

from looksee.cli.picture import picture

__all__ = ["picture"]
