"""`looksee caption` and `looksee ask`: pictures of this machine, through a running service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from looksee.cli.picture import picture, trouble

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

# What an option goes with.
_TASKS = {"prompt": ("caption",), "length": ("caption",), "question": ("query",), "object": ("detect", "point")}


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
@_whom
def ask(source: str, question: str, url: str, key: str, model: str | None) -> None:
    """Ask a QUESTION about one PICTURE, a file."""
    try:
        image = picture(source)
    except (OSError, ValueError) as error:
        raise click.ClickException(trouble(error)) from None
    body = {"image_url": image, "question": question, **({"model": model} if model else {})}

    async def answer() -> str:
        from looksee.cli.service_client import connected

        async with connected(url, key) as service:
            return str((await service.post("/v1/query", body))["answer"])

    click.echo(_run(answer, "interrupted."))


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
@click.option("--object", "thing", help="What to find in each picture.")
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
    thing: str | None,
    concurrency: int,
    url: str,
    key: str,
    model: str | None,
) -> None:
    """Caption every picture in FOLDER and below (JPEG, PNG, WebP), or ask something else about each.

    Answers are written as they come. Given again, the command leaves out what it has the answers to and goes on.
    """
    given = {"model": model, "prompt": prompt, "length": length, "question": question, "object": thing}
    wanted = task or ("query" if question else "detect" if thing else "caption")
    asked = {"task": wanted, **{name: value for name, value in given.items() if value is not None}}
    _check(asked)
    target = output or folder / "captions.jsonl"
    from looksee.cli.folder import FolderRun, pictures
    from looksee.cli.record import Record

    names = pictures(folder)
    if not names:
        raise click.ClickException(f"There are no pictures in {folder}.")
    try:
        record = Record(target, asked)
    except OSError as error:
        raise click.ClickException(trouble(error)) from None
    with record:
        todo = [name for name in names if name not in record.done]
        here = len(names) - len(todo)
        click.echo(
            f"{len(names)} pictures in {folder}" + (f", {here} of them answered before" if here else ""), err=True
        )
        work = FolderRun(folder, todo, asked, record)
        _run(lambda: work.run(url, key, concurrency), f"interrupted; the same command goes on from here: {target}")
        answered = len(todo) - len(work.failed)
        click.echo(
            f"{answered} answers in {target}" + (f", {len(work.failed)} failed" if work.failed else ""), err=True
        )
    if work.failed:
        raise SystemExit(1)


def _check(asked: dict[str, Any]) -> None:
    """Refuse options that would not do what they say."""
    task = asked["task"]
    for option, tasks in _TASKS.items():
        if asked.get(option) and task not in tasks:
            raise click.UsageError(f"--{option} does not go with --task {task}.")
    for option in ("question", "object"):
        if task in _TASKS[option] and not asked.get(option):
            raise click.UsageError(f"--task {task} needs --{option}.")


def _run(work: Callable[[], Coroutine[Any, Any, T]], interrupted: str) -> T:
    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        click.echo(f"\n{interrupted}", err=True)
        raise SystemExit(130) from None
