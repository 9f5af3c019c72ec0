"""`looksee detect` and `looksee point`: boxes and points of things, of a picture or of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from looksee.cli.asking import answer, check, whom
from looksee.cli.folders.options import FolderOptions, folder_options


def _command(task: str, what: str, example: str) -> click.Command:
    """The command of a task; both take the same."""

    @click.command(
        name=task,
        short_help=f"Find {what} of things in pictures.",
        help=f"""Find {what} of things in a picture, or in every picture of FOLDER and below.

        Of a picture a line for each is printed: the thing, its place in pixels from the top left, and how sure the
        model is. Of a folder the answers go to a file as with `looksee caption`, and to those that you name.""",
        epilog=f"\b\nExamples:\n  looksee {task} photo.jpg --object dog\n{example}",
    )
    @click.argument("source", metavar="FOLDER", type=click.Path(exists=True, path_type=Path))
    @click.option("--object", "things", multiple=True, required=True, help="What to find; may be given several times.")
    @click.option("--threshold", type=click.FloatRange(0, 1), help="The least confidence.")
    @click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        help=f"Where the answers go, a line of JSON each; {task}.jsonl in the folder if not given.",
    )
    @click.option(
        "--concurrency", type=click.IntRange(1, 32), default=2, show_default=True, help="Requests under way at a time."
    )
    @folder_options(texts=False)
    @whom
    def command(
        source: Path,
        things: tuple[str, ...],
        threshold: float | None,
        output: Path | None,
        concurrency: int,
        options: FolderOptions,
        url: str,
        key: str,
        model: str | None,
    ) -> None:
        given = {"task": task, "model": model, "threshold": threshold}
        asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        check(asked, things)
        asked |= {"object": things[0]} if len(things) == 1 else {"objects": list(things)}
        answer(source, output, f"{task}.jsonl", asked, options, url=url, key=key, concurrency=concurrency)

    return command


detect = _command(
    "detect",
    "boxes",
    "  looksee detect photos --object dog --object cat --coco boxes.json\n"
    "  looksee detect photos --object dog --yolo labels --annotated marked --gallery dogs.html",
)
point = _command("point", "points", "  looksee point photos --object eye --csv eyes.csv --coco eyes.json")
