"""`python -m client`: the command line where no `looksee` is installed, as in the container image."""

from __future__ import annotations

from client.cli import main

main(prog_name="looksee")
