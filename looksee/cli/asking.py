"""`looksee caption` and `looksee ask`: pictures of this machine, through a running service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from looksee.cli.endings import NOTES
from looksee.cli.folders.options import FolderOptions, folder_options
from looksee.cli.names import is_unicode, shown
from looksee.cli.picture import picture, trouble

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
    "max_words": ("caption", "query"),
}
_MOST_THINGS = 32  # that the service looks for in one request


def service_options(command: F) -> F:
    """The options that say where the service is."""
    for option in (
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


def whom(command: F) -> F:
    """The options that say who is asked."""
    help_ = "Who is asked; `looksee models` lists the names."
    asked = click.option("--model", metavar="NAME", help=help_, shell_complete=_models)
    return service_options(asked(command))


def _models(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    from looksee.models.registry import REGISTRY

    return [name for name in REGISTRY if name.startswith(begun)]


@click.command(
    epilog="""\b
Example:
  looksee ask photo.jpg "What is on the table?\""""
)
@click.argument("source", metavar="PICTURE")
@click.argument("question")
@click.option("--json", "whole", is_flag=True, help="All of the answer, as JSON.")
@click.option("--scores", is_flag=True, help="With --json: how likely it was to the model, too.")
@whom
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

    async def asking() -> dict[str, Any]:
        from looksee.cli.service_client import connected

        async with connected(url, key) as service:
            return await service.post("/v1/query", body)

    found = run(asking, "interrupted.")
    click.echo(json.dumps(found, ensure_ascii=False) if whole else str(found["answer"]))
    if note := NOTES.get(str(found.get("finish_reason"))):
        click.echo(note, err=True)


@click.command(
    short_help="Caption pictures, or ask the same about each.",
    epilog="""\b
Examples:
  looksee caption photo.jpg
  looksee caption photos
  looksee caption photos --sidecar .txt --trigger sks --existing append
  looksee caption photos --xmp --csv photos.csv --gallery photos.html
  looksee caption photos --question "Is there a dog?" -o dogs.jsonl

Ends with 0 if every picture has its answer, 1 if not, 2 for options that cannot be, 130 after Ctrl-C.""",
)
@click.argument("source", metavar="FOLDER", type=click.Path(exists=True, path_type=Path))
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
@click.option(
    "--prompt",
    help="For captions: how, or with what they begin. {name}, {folder}, {existing} and {tags} stand for what is known "
    "of each picture, in questions too.",
)
@click.option(
    "--prompt-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file with the prompt."
)
@click.option("--length", type=click.Choice(["short", "normal", "long"]), help="For captions of Moondream.")
@click.option("--max-words", type=click.IntRange(1), help="For texts: so many words at most.")
@click.option("--question", help="What to answer about each picture.")
@click.option("--object", "things", multiple=True, help="What to find in each picture; may be given several times.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="For boxes and points: the least confidence.")
@click.option("--scores", is_flag=True, default=None, help="For texts: how likely each was to the model.")
@click.option(
    "--concurrency", type=click.IntRange(1, 32), default=2, show_default=True, help="Requests under way at a time."
)
@folder_options(texts=True)
@whom
def caption(
    source: Path,
    output: Path | None,
    task: str | None,
    prompt: str | None,
    prompt_file: Path | None,
    length: str | None,
    max_words: int | None,
    question: str | None,
    things: tuple[str, ...],
    threshold: float | None,
    scores: bool | None,
    concurrency: int,
    options: FolderOptions,
    url: str,
    key: str,
    model: str | None,
) -> None:
    """Caption every picture in FOLDER and below, or ask something else about each.

    A file is a picture by what is in it, whatever it is called; hidden files are passed over. Answers are written as
    they come. Given again, the command leaves out the pictures that it has the answers to and goes on. Of a single
    picture the answer is printed.
    """
    if prompt_file is not None:
        if prompt is not None:
            raise click.UsageError("--prompt and --prompt-file are two prompts.")
        prompt = _text_of(prompt_file)
    given: dict[str, Any] = {"model": model, "prompt": prompt, "length": length, "question": question}
    given |= {"threshold": threshold, "scores": scores, "max_words": max_words}
    wanted = task or ("query" if question is not None else "detect" if things else "caption")
    asked: dict[str, Any] = {"task": wanted, **{name: value for name, value in given.items() if value is not None}}
    check(asked, things)
    if things:
        asked |= {"object": things[0]} if len(things) == 1 else {"objects": list(things)}
    answer(source, output, "captions.jsonl", asked, options, url=url, key=key, concurrency=concurrency)


def answer(
    source: Path,
    output: Path | None,
    usual: str,
    asked: dict[str, Any],
    options: FolderOptions,
    *,
    url: str,
    key: str,
    concurrency: int,
) -> None:
    """Have a folder's pictures answered, or print the answer about a single one. Ends the program where that fails.

    `usual` is the name of the answers' file in the folder where no `output` is given.
    """
    if source.is_file():
        if output is not None:
            raise click.UsageError(f"-o is for folders; {shown(source.name)} is a file.")
        from looksee.cli.commands.one_picture import print_answer

        print_answer(source, asked, options, url, key)
        return
    from looksee.cli.folders.work import Asking, FolderWork

    work = FolderWork(source, output or source / usual, asked, options)
    if code := work.run(Asking(url=url, key=key, concurrency=concurrency)):
        raise SystemExit(code)


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise click.ClickException(
            f"{shown(file)} is not UTF-8." if isinstance(error, ValueError) else trouble(error)
        ) from None


def check(asked: dict[str, Any], things: Sequence[str]) -> None:
    """Refuse options that would not do what they say."""
    task = asked["task"]
    values = {**{name: [value] for name, value in asked.items()}, **({"object": things} if things else {})}
    for option, given in values.items():
        if not all(is_unicode(value) for value in given if isinstance(value, str)):
            raise click.UsageError(f"--{option} is not in the encoding of this terminal, UTF-8 as a rule.")
    for option, tasks in _TASKS.items():
        if any(value not in (None, "") for value in values.get(option, ())) and task not in tasks:
            raise click.UsageError(f"--{option.replace('_', '-')} does not go with --task {task}.")
    for option in ("question", "object"):
        if not all(str(value).strip() for value in values.get(option, ())):
            raise click.UsageError(f"--{option} is empty; say what is asked.")
        if task in _TASKS[option] and option not in values:
            raise click.UsageError(f"--task {task} needs --{option}.")
    if len(things) > _MOST_THINGS:
        raise click.UsageError(f"--object is given {len(things)} times; at most {_MOST_THINGS} are looked for at once.")


def run(work: Callable[[], Coroutine[Any, Any, T]], interrupted: str) -> T:
    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        click.echo(f"\n{interrupted}", err=True)
        raise SystemExit(130) from None
