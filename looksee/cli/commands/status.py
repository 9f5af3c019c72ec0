"""`looksee status`: a service's models, rows and rates, as a table that keeps up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING

import click

from looksee.cli.asking import run, service_options
from looksee.cli.names import shown

if TYPE_CHECKING:
    from rich.table import Table

    from looksee.cli.commands.figures import Figures

_WIDTH = 120  # columns where the output is no terminal
_STATES = {"ready": "green", "loaded": "green", "loading": "yellow", "failed": "red", "unreachable": "red"}


@click.command(
    short_help="What a running service does, as a live table.",
    epilog="""\b
Examples:
  looksee status
  looksee status --once
  looksee status --json --url http://gpu-host:3000""",
)
@click.option(
    "--interval", type=click.FloatRange(0.2), default=2.0, show_default=True, help="Seconds between two looks."
)
@click.option("--once", is_flag=True, help="Print the table after one interval, and end.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON: one object, and end.")
@click.option(
    "--metrics-key", envvar="LOOKSEE_METRICS_KEY", default="", help="A key of /metrics, or LOOKSEE_METRICS_KEY."
)
@click.option("--admin-key", default="", help="The operators' key, the service's API_KEY: adds memory and devices.")
@service_options
def status(interval: float, once: bool, as_json: bool, metrics_key: str, admin_key: str, url: str, key: str) -> None:
    """What a running service does: its models, the rows of their batches, its queue, its cache and its rates.

    Rates are those between two looks. Ctrl-C ends it.
    """

    async def watch() -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.markup import escape

        from looksee.cli.commands.figures import figures, look
        from looksee.cli.service_client import ServiceAway, connected

        async with connected(url, key) as service:
            before = await look(service, key=metrics_key or key, admin_key=admin_key)
            live = not (once or as_json) and in_terminal()
            # Elsewhere there is no width to be asked for, and a narrow one would cut the columns.
            console = Console(width=None if in_terminal() else _WIDTH)
            with Live(console=console, auto_refresh=False) if live else contextlib.nullcontext() as screen:
                while True:
                    await asyncio.sleep(interval)
                    try:
                        now = await look(service, key=metrics_key or key, admin_key=admin_key)
                    except ServiceAway as error:
                        if screen is None:
                            raise
                        screen.update(escape(error.message), refresh=True)
                        continue
                    found = figures(before, now)
                    before = now
                    if screen is not None:
                        screen.update(table(found, url), refresh=True)
                        continue
                    if as_json:
                        click.echo(json.dumps(found.content(), ensure_ascii=False))
                    else:
                        console.print(table(found, url))
                    return

    run(watch, "ended.")


def in_terminal() -> bool:
    return sys.stdout.isatty()


def table(found: Figures, url: str) -> Table:
    """A row for each model, the cache under them."""
    from rich.markup import escape
    from rich.table import Table

    rate = "-" if found.hit_rate is None else f"{found.hit_rate:.0%}"
    title = f"Looksee {escape(found.version)} at {escape(shown(url))}"
    cache = f"cache: {escape(found.redis)}, {found.hits} of {found.lookups} lookups hit ({rate})"
    result = Table(title=title, caption=f"{cache}, {found.hits_per_second:.1f} hits/s", title_justify="left")
    result.add_column("model")
    result.add_column("state")
    operators = any(one.memory_bytes or one.device for one in found.models.values())
    for head in ("running", "waiting", "batch", "first token", "answers/s", "tokens/s"):
        result.add_column(head, justify="right")
    if operators:
        result.add_column("device")
        result.add_column("memory", justify="right")
    for name, one in found.models.items():
        colour = _STATES.get(one.state, "default")
        cells = [escape(name), f"[{colour}]{escape(one.state)}[/]", str(one.running), str(one.waiting)]
        cells.append("-" if one.batch_rows is None else f"{one.batch_rows:.1f}")
        cells.append("-" if one.first_token_seconds is None else f"{1000 * one.first_token_seconds:.0f} ms")
        cells += [f"{one.answers_per_second:.1f}", f"{one.tokens_per_second:.0f}"]
        if operators:
            memory = "-" if one.memory_bytes is None else f"{one.memory_bytes / 1e9:.2f} GB"
            cells += [escape(one.device or "-"), memory]
        result.add_row(*cells)
    return result
