"""`looksee together`: one caption for several pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from looksee.cli.asking import run, whom
from looksee.cli.endings import NOTES
from looksee.cli.picture import picture, trouble


@click.command(
    epilog="""\b
Examples:
  looksee together before.jpg after.jpg
  looksee together *.jpg --prompt "What changes from picture to picture?" --model intern_vlm"""
)
@click.argument("sources", metavar="PICTURE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--prompt", help="What is to be said about them.")
@click.option("--json", "as_json", is_flag=True, help="All of the answer, as JSON.")
@whom
def together(
    sources: tuple[Path, ...], prompt: str | None, as_json: bool, url: str, key: str, model: str | None
) -> None:
    """One caption for several PICTUREs, in their order."""
    try:
        images = [picture(source) for source in sources]
    except (OSError, ValueError) as error:
        raise click.ClickException(trouble(error)) from None
    item = {"task": "collective", "images": images}
    given = {"model": model, "prompt": prompt}
    body = {**{name: value for name, value in given.items() if value is not None}, "items": [item]}

    async def ask() -> dict[str, Any]:
        from looksee.cli.service_client import ServiceError, connected

        async with connected(url, key) as service:
            async for line in service.batch(body):
                if line["status"] != 200:
                    raise ServiceError(line["error"]["message"], line["error"]["code"])
                return line
        raise ServiceError(f"{url} gave no answer.")

    line = run(ask, "interrupted.")
    if as_json:
        own = {name: value for name, value in line.items() if name not in ("index", "id", "status")}
        click.echo(json.dumps(own, ensure_ascii=False))
    else:
        click.echo(str(line["collective_caption"]))
    if note := NOTES.get(str(line.get("finish_reason"))):
        click.echo(note, err=True)
