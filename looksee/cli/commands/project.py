"""`looksee serve` and `looksee bench`: what needs the project's folder or its image, and is not in the wheel."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

_WHERE = (
    "{what} is not in this package, which is the command line alone. {how} "
    "Ask a service that runs elsewhere with --url or LOOKSEE_URL."
)


@click.command(
    short_help="Serve on this machine.",
    epilog="""\b
Examples:
  looksee serve
  looksee serve --port 3001 --weights hub""",
)
@click.option("--port", type=click.IntRange(1, 65535), help="PORT if not given, or else 3000.")
@click.option("--host", help="The address to listen on; every one of this machine if not given.")
@click.option("--weights", type=click.Choice(["sample", "hub"]), help="LOOKSEE_WEIGHTS if not given.")
def serve(port: int | None, host: str | None, weights: str | None) -> None:
    """Serve on this machine, from the project's folder or in its image.

    In the project's folder it is `make serve`: with the sample weights if nothing else is set, and with a Redis of its
    own if none is configured. In the image it is what the container does by itself.
    """
    given = {"--port": port, "--host": host, "--weights": weights}
    words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    folder = project()
    if folder is None:
        how = "Serve from the image (`docker run -p 3000:3000 looksee:latest`) or the project's folder (`make serve`)."
        raise click.ClickException(_WHERE.format(what="The service", how=how))
    if (folder / "deploy" / "local.py").is_file():
        _become(folder, "deploy.local", words)
    if weights is not None:
        os.environ["LOOKSEE_WEIGHTS"] = weights
    own = [word for name, value in (("--port", port), ("--host", host)) if value for word in (name, str(value))]
    _become(folder, "bentoml", ["serve", "service:Looksee", *own])


@click.command(
    short_help="Measure beside other servers.",
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  looksee bench blip
  looksee bench --help""",
    add_help_option=False,
)
@click.argument("words", metavar="[MODEL] [OPTIONS]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def bench(context: click.Context, words: tuple[str, ...]) -> None:
    """Measure MODEL (all) beside other servers, in the project's folder; 16 minutes."""
    folder = project()
    if folder is None or not (folder / "bench").is_dir():
        if {"-h", "--help"} & set(words):
            click.echo(context.get_help())
            return
        raise click.ClickException(_WHERE.format(what="The benchmark", how="Run `make bench` in the project's folder."))
    _become(folder, "bench", words)


def project() -> Path | None:
    """The folder that the service runs from: where this package lies in it, or the current one."""
    for folder in (Path(__file__).resolve().parents[3], Path.cwd()):
        if (folder / "service.py").is_file() and (folder / "runners").is_dir():
            return folder
    return None


def _become(folder: Path, module: str, words: Sequence[str]) -> NoReturn:
    """Go on as another program, which gets this one's signals and whose exit code is ours."""
    os.chdir(folder)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *words])
