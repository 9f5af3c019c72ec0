"""The `looksee` command and its parts, wired in one place.

What a command needs it imports when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import click

from looksee.cli.asking import ask, caption
from looksee.cli.ready import ready
from looksee.cli.weights import models, pull
from looksee.version import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="looksee", message="%(prog)s %(version)s")
def main() -> None:
    """Looksee: captions for your pictures, on your own machine."""


main.add_command(ask)
main.add_command(caption)
main.add_command(models)
main.add_command(pull)
main.add_command(ready)
