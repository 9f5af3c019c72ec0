"""What a program that asks the service needs (`from client import picture`), and the `looksee` command line."""

from client.pictures import picture

__all__ = ["picture"]
