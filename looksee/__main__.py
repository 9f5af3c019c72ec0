"""`python -m looksee`: the command line where no `looksee` is installed, as in the container image."""

from __future__ import annotations

from looksee.cli.main import main

main(prog_name="looksee")
