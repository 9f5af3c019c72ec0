"""`looksee caption` and `looksee ask`: pictures of this machine, through a running service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from looksee.cli.endings import NOTES
from looksee.cli.names import is_unicode, listed, shown
from looksee.cli.picture import picture, reason, trouble

if TYPE_CHECKING:
    from looksee.cli.folder import FolderRun
    from looksee.cli.walking import FolderContents

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

# What an option goes with.
_TASKS = {
    "prompt": ("caption",),
    "length": ("caption",),
    "question": ("query",),
    "object": ("detect", "point"),
    "threshold": ("detect", "point"),
    "scores": ("caption", "query"),
}
_MOST_THINGS = 32  # that the service looks for in one request


def _whom(command: F) -> F:
    """The options that say who is asked."""
    for option in (
        click.option("--model", metavar="NAME", help="Who is asked; `looksee models` lists the names."),
        click.option("--key", envvar="LOOKSEE_KEY", default="", help="A key of the service, or LOOKSEE_KEY."),
        click.option(
            "--url",
            envvar="LOOKSEE_URL",
            default="http://localhost:3000",
            show_default=True,
            help="Where the service is, or LOOKSEE_URL.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("source", metavar="PICTURE")
@click.argument("question")
@click.option("--json", "whole", is_flag=True, help="All of the answer, as JSON.")
@click.option("--scores", is_flag=True, help="With --json: how likely it was to the model, too.")
@_whom
def ask(source: str, question: str, whole: bool, scores: bool, url: str, key: str, model: str | None) -> None:
    """Ask a QUESTION about one PICTURE, a file."""
    if scores and not whole:
        raise click.UsageError("--scores goes with --json.")
    try:
        image = picture(source)
    except (OSError, ValueError) as error:
        raise click.ClickException(trouble(error)) from None
    body: dict[str, Any] = {"image_url": image, "question": question, **({"model": model} if model else {})}
    if scores:
        body["scores"] = True

    async def answer() -> dict[str, Any]:
        from looksee.cli.service_client import connected

        async with connected(url, key) as service:
            return await service.post("/v1/query", body)

    found = _run(answer, "interrupted.")
    click.echo(json.dumps(found, ensure_ascii=False) if whole else str(found["answer"]))
    if note := NOTES.get(str(found.get("finish_reason"))):
        click.echo(note, err=True)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the answers go, a line of JSON each; captions.jsonl in the folder if not given.",
)
@click.option(
    "--task",
    type=click.Choice(["caption", "query", "detect", "point"]),
    help="What is asked; by itself caption, with --question query, with --object detect.",
)
@click.option("--prompt", help="For captions: how, or with what they begin.")
@click.option("--length", type=click.Choice(["short", "normal", "long"]), help="For captions of Moondream.")
@click.option("--question", help="What to answer about each picture.")
@click.option("--object", "things", multiple=True, help="What to find in each picture; may be given several times.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="For boxes and points: the least confidence.")
@click.option("--scores", is_flag=True, default=None, help="For texts: how likely each was to the model.")
@click.option(
    "--concurrency", type=click.IntRange(1, 32), default=2, show_default=True, help="Requests under way at a time."
)
@_whom
def caption(
    folder: Path,
    output: Path | None,
    task: str | None,
    prompt: str | None,
    length: str | None,
    question: str | None,
    things: tuple[str, ...],
    threshold: float | None,
    scores: bool | None,
    concurrency: int,
    url: str,
    key: str,
    model: str | None,
) -> None:
    """Caption every picture in FOLDER and below, or ask something else about each.

    A file is a picture by what is in it, whatever it is called; hidden files are passed over. Answers are written as
    they come. Given again, the command leaves out the pictures that it has the answers to and goes on.
    """
    given: dict[str, Any] = {"model": model, "prompt": prompt, "length": length, "question": question}
    given |= {"threshold": threshold, "scores": scores}
    wanted = task or ("query" if question is not None else "detect" if things else "caption")
    asked: dict[str, Any] = {"task": wanted, **{name: value for name, value in given.items() if value is not None}}
    _check(asked, things)
    if things:
        asked |= {"object": things[0]} if len(things) == 1 else {"objects": list(things)}
    target = output or folder / "captions.jsonl"
    from looksee.cli.walking import contents, is_picture

    if target.is_file() and is_picture(target):
        raise click.UsageError(f"{shown(target)} is a picture: answers would be written behind it.")
    found = contents(folder, besides=target)
    _tell_left_out(found)
    try:
        failed = _answer(folder, found, asked, target, lambda work: work.run(url, key, concurrency))
    except OSError as error:
        raise click.ClickException(trouble(error) if error.filename else f"{reason(error)}: {shown(target)}") from None
    if failed:
        raise SystemExit(1)


def _answer(
    folder: Path,
    found: FolderContents,
    asked: dict[str, Any],
    target: Path,
    run: Callable[[FolderRun], Coroutine[Any, Any, None]],
) -> int:
    """How many files have no answer in the end, though they are pictures or may be. Raises OSError for the record."""
    from looksee.cli.folder import FolderRun
    from looksee.cli.record import Record

    failed = answered = 0
    if found.pictures:
        with Record(target, asked) as record:
            todo = {
                name: one.st_size for name, one in found.pictures.items() if not record.has(name, folder / name, one)
            }
            here = len(found.pictures) - len(todo)
            click.echo(
                f"{_count(len(found.pictures), 'picture')} in {shown(folder)}"
                + (f", {here} of them answered before" if here else ""),
                err=True,
            )
            work = FolderRun(folder, todo, asked, record)
            _run(lambda: run(work), f"interrupted; the same command goes on from here: {shown(target)}")
            failed = len(work.failed)
            answered = len(todo) - failed
    for name, error in found.troubles.items():
        click.echo(f"{shown(name)}: {reason(error)}", err=True)
    if not found.pictures:
        raise click.ClickException(f"There are no pictures in {shown(folder)}.")
    failed += len(found.troubles)
    click.echo(f"{_count(answered, 'answer')} in {shown(target)}" + (f", {failed} failed" if failed else ""), err=True)
    return failed


def _tell_left_out(found: FolderContents) -> None:
    for left_out, one, several in (
        (found.others, "file is no picture", "files are no pictures"),
        (found.linked_folders, "link to a folder is not followed", "links to folders are not followed"),
    ):
        if left_out:
            click.echo(f"{len(left_out)} {one if len(left_out) == 1 else several}: {listed(left_out)}", err=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _check(asked: dict[str, Any], things: Sequence[str]) -> None:
    """Refuse options that would not do what they say."""
    task = asked["task"]
    values = {**{name: [value] for name, value in asked.items()}, **({"object": things} if things else {})}
    for option, given in values.items():
        if not all(is_unicode(value) for value in given if isinstance(value, str)):
            raise click.UsageError(f"--{option} is not in the encoding of this terminal, UTF-8 as a rule.")
    for option, tasks in _TASKS.items():
        if any(value not in (None, "") for value in values.get(option, ())) and task not in tasks:
            raise click.UsageError(f"--{option} does not go with --task {task}.")
    for option in ("question", "object"):
        if not all(value.strip() for value in values.get(option, ())):
            raise click.UsageError(f"--{option} is empty; say what is asked.")
        if task in _TASKS[option] and option not in values:
            raise click.UsageError(f"--task {task} needs --{option}.")
    if len(things) > _MOST_THINGS:
        raise click.UsageError(f"--object is given {len(things)} times; at most {_MOST_THINGS} are looked for at once.")


def _run(work: Callable[[], Coroutine[Any, Any, T]], interrupted: str) -> T:
    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        click.echo(f"\n{interrupted}", err=True)
        raise SystemExit(130) from None
