"""The `looksee` command and its parts, wired in one place.

What a command needs it imports when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import click

from looksee.cli.asking import ask, caption
from looksee.cli.commands.completion import completion
from looksee.cli.commands.finding import detect, point
from looksee.cli.commands.project import bench, serve
from looksee.cli.commands.status import status
from looksee.cli.commands.together import together
from looksee.cli.ready import ready
from looksee.cli.weights import models, pull
from looksee.version import VERSION


class CommandsInOrder(click.Group):
    """Lists its commands as they were added: first what is needed first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=CommandsInOrder,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  looksee caption photos --sidecar .txt
  looksee ask photo.jpg "Is there a dog?"
  looksee COMMAND --help""",
)
@click.version_option(VERSION, prog_name="looksee", message="%(prog)s %(version)s")
def main() -> None:
    """Looksee: captions for your pictures, on your own machine."""


for _command in (serve, pull, models, caption, ask, detect, point, together, status, ready, bench, completion):
    main.add_command(_command)
