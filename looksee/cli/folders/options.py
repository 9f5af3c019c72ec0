"""The options of every command that goes through a folder."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from looksee.cli.folders.wording import EXISTING, Existing
from looksee.core.image_formats import FORMATS

F = TypeVar("F", bound=Callable[..., Any])
_WRITTEN = {"globs": "glob", "sidecars": "sidecar", "recursive": "no-recursive"}
_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """As they were given, by their names."""

    globs: tuple[str, ...] = ()
    recursive: bool = True
    filelist: Path | None = None
    sidecars: tuple[str, ...] = ()
    xmp: bool = False
    existing: Existing = "skip"
    prefix: str = ""
    suffix: str = ""
    trigger: str = ""
    separator: str = ", "
    csv: Path | None = None
    coco: Path | None = None
    yolo: Path | None = None
    gallery: Path | None = None
    annotated: Path | None = None
    patience: float = 120.0
    as_json: bool = False

    def changed(self, *, but: Collection[str] = ()) -> list[str]:
        """The options that were given, as they are written, but for some."""
        usual = FolderOptions()
        names = [one.name for one in fields(self) if one.name not in but]
        return [f"--{_WRITTEN.get(name, name)}" for name in names if getattr(self, name) != getattr(usual, name)]


def _ending(_: click.Context, __: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        if not value.startswith(".") or len(value) < 2 or "/" in value or "\0" in value:
            raise click.BadParameter(f"'{value}' is no ending of a file, like .txt or .caption.")
        if any(value.lower() in one.suffixes for one in FORMATS.values()):
            raise click.BadParameter(f"'{value}' is an ending of pictures.")
    return tuple(dict.fromkeys(values))


_SELECTION = (
    click.option(
        "--glob", "globs", multiple=True, metavar="PATTERN", help="Only pictures whose names match, as *.jpg."
    ),
    click.option("--recursive/--no-recursive", default=True, help="Folders below too, or not; they are by default."),
    click.option(
        "--filelist",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        help="Only the pictures that this file lists, one a line; - for standard input.",
    ),
)
_TEXTS = (
    click.option(
        "--sidecar",
        "sidecars",
        multiple=True,
        metavar="ENDING",
        callback=_ending,
        help="Also a text beside each picture: .txt or .caption; may be given several times.",
    ),
    click.option("--xmp", is_flag=True, help="Also an XMP beside each picture, with description and keywords."),
    click.option(
        "--existing",
        type=click.Choice(EXISTING),
        default="skip",
        show_default=True,
        help="What is done where a picture has a text already.",
    ),
    click.option("--prefix", default="", help="Put before each answer in what is written beside the pictures."),
    click.option("--suffix", default="", help="Put behind it."),
    click.option("--trigger", default="", help="A word that each text begins with."),
    click.option(
        "--separator", default=", ", help="Between the trigger, what was there and the answer.  [default: ', ']"
    ),
)
_EXPORTS = (
    click.option("--csv", type=_FILE, help="Also all answers as a table."),
    click.option("--gallery", type=_FILE, help="Also a page with all pictures and answers, in one file."),
)
_PLACES = (
    click.option("--coco", type=_FILE, help="Also all boxes or points as COCO's JSON."),
    click.option(
        "--yolo", type=click.Path(file_okay=False, path_type=Path), help="Also boxes as YOLO's labels, in a folder."
    ),
    click.option(
        "--annotated",
        type=click.Path(file_okay=False, path_type=Path),
        help="Also the pictures with their boxes or points drawn in, in a folder.",
    ),
)
_RUNNING = (
    click.option(
        "--patience",
        type=click.FloatRange(0),
        default=120.0,
        show_default=True,
        metavar="SECONDS",
        help="How long a service that went away in the middle is waited for.",
    ),
    click.option("--json", "as_json", is_flag=True, help="What came of it as JSON, on standard output."),
)


def folder_options(*, texts: bool) -> Callable[[F], F]:
    """The options as one parameter `options`; without `texts`, those of boxes and points alone."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def gathered(**given: Any) -> Any:
            own = {one.name: given.pop(one.name) for one in fields(FolderOptions) if one.name in given}
            return command(options=FolderOptions(**own), **given)

        decorated: Any = gathered
        for option in reversed((*_SELECTION, *(_TEXTS if texts else ()), *_EXPORTS, *_PLACES, *_RUNNING)):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate
