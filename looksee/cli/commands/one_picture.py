"""The answer about a single picture, printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from looksee.cli.asking import run
from looksee.cli.endings import NOTES
from looksee.cli.exports.answers import folder_answer, size_of, text_of
from looksee.cli.exports.writing import things
from looksee.cli.folders import prompts
from looksee.cli.folders.beside import TextSidecar
from looksee.cli.folders.options import FolderOptions
from looksee.cli.folders.picture_fields import filled_for
from looksee.cli.names import shown
from looksee.cli.picture import picture, trouble
from looksee.cli.service_client import ServiceError, connected
from looksee.core.errors import LookseeError
from looksee.core.geometry import Box, in_pixels, point_in_pixels


def print_answer(source: Path, asked: dict[str, Any], options: FolderOptions, url: str, key: str) -> None:
    """Raises click.ClickException for a picture or a service that does not answer."""
    if changed := options.changed(but=("patience", "as_json")):
        raise click.UsageError(f"{changed[0]} is for folders; {shown(source.name)} is a file.")
    try:
        data = source.read_bytes()
        image = picture(source)
        for member in ("prompt", "question"):
            if member in asked and prompts.fields(asked[member]):
                asked = {**asked, member: filled_for(asked[member], source, data, TextSidecar(".txt"))}
    except (OSError, ValueError) as error:
        raise click.ClickException(trouble(error)) from None

    async def ask() -> dict[str, Any]:
        async with connected(url, key) as service:
            async for line in service.batch({**asked, "items": [{"image": image}]}):
                return line
        raise ServiceError(f"{url} gave no answer.")

    line = run(ask, "interrupted.")
    if line["status"] != 200:
        raise ServiceError(line["error"]["message"], line["error"]["code"])
    if options.as_json:
        own = {name: value for name, value in line.items() if name not in ("index", "id", "status")}
        click.echo(json.dumps(own, ensure_ascii=False))
    elif asked["task"] in ("detect", "point"):
        _print_places(source, line, asked)
    else:
        click.echo(text_of(line))
    for one in line.get("results", ()):
        if "error" in one:
            raise ServiceError(f"'{one['object']}': {one['error']['message']}")
    if note := NOTES.get(str(line.get("finish_reason"))):
        click.echo(note, err=True)


def _print_places(source: Path, line: dict[str, Any], asked: dict[str, Any]) -> None:
    """A line for each box or point, in pixels from the top left."""
    try:
        size = size_of(source)
    except LookseeError as error:
        raise click.ClickException(error.message) from None
    found = folder_answer(source.name, {**line, "image": size}, things(asked))
    for one in found.places:
        if isinstance(one.place, Box):
            numbers: tuple[float, ...] = in_pixels(one.place, found.width, found.height)
        else:
            numbers = point_in_pixels(one.place, found.width, found.height)
        confidence = "" if one.confidence is None else f"\t{one.confidence:.2f}"
        click.echo(f"{one.label}\t{' '.join(f'{number:.1f}' for number in numbers)}{confidence}")
