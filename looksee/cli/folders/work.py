"""A folder from its pictures to the files that are written of the answers about them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from looksee.cli import names
from looksee.cli.exports.answers import FolderAnswer, folder_answer, size_of, text_of
from looksee.cli.exports.writing import Exports, things
from looksee.cli.folder import FolderRun
from looksee.cli.folders import prompts
from looksee.cli.folders.beside import Beside, Sidecar, TextSidecar, XmpSidecar, known_sidecars
from looksee.cli.folders.options import FolderOptions
from looksee.cli.folders.picture_fields import filled_for
from looksee.cli.folders.selection import Selection
from looksee.cli.folders.wording import SidecarText
from looksee.cli.names import listed, shown
from looksee.cli.picture import reason, trouble
from looksee.cli.record import Record
from looksee.cli.walking import FolderContents, is_picture
from looksee.core.errors import LookseeError

INTERRUPTED = 130  # the exit code of a shell's programs that were ended by Ctrl-C


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Who is asked, and how many requests are under way at a time."""

    url: str
    key: str
    concurrency: int


@dataclass
class FolderOutcome:
    """What came of a folder, in numbers of pictures. `failed` are those without an answer, and why."""

    pictures: int = 0
    answered: int = 0
    before: int = 0
    skipped: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False


class FolderWork:
    """What is asked about a folder, and where the answers go."""

    def __init__(self, folder: Path, target: Path, asked: Mapping[str, Any], options: FolderOptions) -> None:
        """Raises click.UsageError for options that would not do what they say."""
        self._folder, self._target, self._asked, self._options = folder, target, dict(asked), options
        self._kinds: list[Sidecar] = [*map(TextSidecar, options.sidecars), *([XmpSidecar()] if options.xmp else [])]
        self._wording = SidecarText(options.prefix, options.suffix, options.trigger, options.separator)
        self._exports = Exports(**{name: getattr(options, name) for name in Exports.__dataclass_fields__})
        reserved = [target, *self._exports.paths.values()]
        self._beside = Beside(folder, self._kinds, options.existing, self._wording, reserved)
        self._member = next((name for name in ("prompt", "question") if name in self._asked), None)
        self._localizes = self._asked["task"] in ("detect", "point")
        self._check()
        try:
            self._fields = prompts.fields(self._asked[self._member]) if self._member else []
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    def run(self, whom: Asking) -> int:
        """Do all of it; the exit code. Raises click.ClickException."""
        outcome = FolderOutcome()
        try:
            found = self._contents()
            self._go(found, whom, outcome)
        except OSError as error:
            raise click.ClickException(
                trouble(error) if error.filename else f"{reason(error)}: {shown(self._target)}"
            ) from None
        except KeyboardInterrupt:  # while files are written
            outcome.interrupted = True
            self._say_interrupted()
        if self._options.as_json:
            click.echo(json.dumps(self._summary(outcome), ensure_ascii=False).encode(errors="replace"))
        if outcome.interrupted:
            return INTERRUPTED
        return 1 if outcome.failed else 0

    def _go(self, found: FolderContents, whom: Asking, outcome: FolderOutcome) -> None:
        if found.pictures:
            with Record(self._target, self._asked) as record:
                self._answer(found, record, whom, outcome)
                if not outcome.interrupted:
                    self._export(found, record, outcome)
        for name, error in found.troubles.items():
            click.echo(f"{shown(name)}: {reason(error)}", err=True)
        if not found.pictures:
            raise click.ClickException(f"There are no pictures in {shown(self._folder)}.")
        outcome.failed |= {name: reason(error) for name, error in found.troubles.items()}
        if outcome.interrupted:
            self._say_interrupted()
            return
        failed = f", {len(outcome.failed)} failed" if outcome.failed else ""
        click.echo(f"{_count(outcome.answered, 'answer')} in {shown(self._target)}{failed}", err=True)

    def _say_interrupted(self) -> None:
        click.echo(f"\ninterrupted; the same command goes on from here: {shown(self._target)}", err=True)

    def _answer(self, found: FolderContents, record: Record, whom: Asking, outcome: FolderOutcome) -> None:
        outcome.pictures = len(found.pictures)
        todo = {}
        clashes = self._beside.clashes(found.pictures)
        for name, one in found.pictures.items():
            line = record.line(name) if self._kinds else None
            if name in clashes:
                outcome.failed[name] = clashes[name]
            elif record.has(name, self._folder / name, one):
                outcome.before += 1
                self._catch_up(name, line, record, outcome)
            elif self._kinds and not self._beside.is_wanted(name, line):
                outcome.skipped += 1
            else:
                todo[name] = one.st_size
        parts = [_count(outcome.pictures, "picture") + f" in {shown(self._folder)}"]
        if outcome.before:
            parts.append(f"{outcome.before} of them answered before")
        if outcome.skipped:
            parts.append(f"{outcome.skipped} with a text already")
        click.echo(", ".join(parts), err=True)
        for name, why in outcome.failed.items():
            click.echo(f"{shown(name)}: {why}", err=True)
        work = FolderRun(
            self._folder,
            todo,
            self._asked,
            record,
            prompt=self._prompt if self._fields else None,
            written=lambda name, line: self._written(name, line, record.line(name)),
            patience=self._options.patience,
        )
        began = time.monotonic()
        try:
            asyncio.run(work.run(whom.url, whom.key, whom.concurrency))
        except KeyboardInterrupt:
            outcome.interrupted = True
        outcome.seconds = time.monotonic() - began
        outcome.failed |= work.failed
        outcome.answered = work.answered

    def _written(self, name: str, line: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> dict[str, Any]:
        """What the record says beside an answer. Raises OSError and ValueError."""
        more: dict[str, Any] = {}
        if self._localizes:
            try:
                more["image"] = size_of(self._folder / name)
            except LookseeError as error:
                raise ValueError(error.message) from None
        if self._kinds and (text := text_of(line)).strip():
            more["beside"] = self._beside.write(name, text, earlier)
            if wording := self._beside.wording:
                more["wording"] = wording
        return more

    def _catch_up(self, name: str, line: Mapping[str, Any] | None, record: Record, outcome: FolderOutcome) -> None:
        """Write what an answer of earlier is still missing beside its picture."""
        if line is None or not self._kinds or not text_of(line).strip() or self._beside.is_done(name, line):
            return
        try:
            more = self._written(name, line, line)
        except (OSError, ValueError) as error:
            outcome.failed[name] = trouble(error)
            return
        without: dict[str, Any] = {"wording": {}} if "wording" in line else {}
        record.add_to(name, line, {**without, **more})

    def _prompt(self, name: str, data: bytes) -> dict[str, str]:
        """The prompt or question about one picture. Raises OSError and ValueError."""
        assert self._member is not None
        sidecar = self._kinds[0] if self._kinds else TextSidecar(".txt")
        return {self._member: filled_for(self._asked[self._member], self._folder / name, data, sidecar)}

    def _export(self, found: FolderContents, record: Record, outcome: FolderOutcome) -> None:
        if not self._exports.paths:
            return
        labels = things(self._asked)
        answers: list[FolderAnswer] = []
        for name in found.pictures:
            line = record.line(name) if name not in outcome.failed else None
            if line is None or not record.has(name, self._folder / name, found.pictures[name]):
                continue
            try:
                if self._localizes and "image" not in line:
                    line["image"] = size_of(self._folder / name)
                answers.append(folder_answer(name, line, labels))
            except (OSError, LookseeError, KeyError, TypeError, ValueError):
                outcome.failed[name] = "The answer of earlier, or the picture, cannot be read."
        texts = [self._wording.merged("", answer.text, "overwrite") if answer.text else "" for answer in answers]
        failed = outcome.failed | {name: reason(error) for name, error in found.troubles.items()}
        for name, wrong in self._exports.write(self._folder, self._asked, answers, texts, failed):
            click.echo(f"{shown(name)}: {wrong}", err=True)
            outcome.failed[name] = wrong
        for path in self._exports.paths.values():
            click.echo(f"{_count(len(answers), 'answer')} in {shown(path)}", err=True)

    def _contents(self) -> FolderContents:
        options = self._options
        chosen = Selection(globs=options.globs, filelist=options.filelist, recursive=options.recursive)
        try:
            found = chosen.of(self._folder, besides=[self._target, *self._exports.paths.values()])
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        ours = known_sidecars(found.pictures, self._folder, self._kinds)
        found.others = [name for name in found.others if name not in ours]
        for left_out, one, several in (
            (found.others, "file is no picture", "files are no pictures"),
            (found.linked_folders, "link to a folder is not followed", "links to folders are not followed"),
            (chosen.unmatched, "picture does not match --glob", "pictures do not match --glob"),
        ):
            if left_out:
                said = f"{len(left_out)} {one if len(left_out) == 1 else several}: {listed(left_out)}"
                click.echo(said, err=True)
        return found

    def _check(self) -> None:
        options, task = self._options, self._asked["task"]
        for path in (self._target, *self._exports.paths.values()):
            if path.is_file() and is_picture(path):
                raise click.UsageError(f"{shown(path)} is a picture: it would be written over.")
        if self._target.exists() and not self._target.is_file() and (self._exports.paths or self._kinds):
            raise click.UsageError("The files of other programs are made of the answers' file: -o must be one.")
        if len({path.resolve() for path in (self._target, *self._exports.paths.values())}) <= len(self._exports.paths):
            raise click.UsageError("Two outputs have the same name.")
        if self._localizes and self._kinds:
            raise click.UsageError(f"--sidecar and --xmp are for texts; --task {task} gives none.")
        places = [f"--{kind}" for kind in ("coco", "yolo", "annotated") if kind in self._exports.paths]
        if not self._localizes and places:
            raise click.UsageError(f"{places[0]} is for boxes and points; --task {task} gives texts.")
        if task == "point" and options.yolo:
            raise click.UsageError("--yolo is for boxes; YOLO has no points. --coco has them.")
        worded = [f"--{name}" for name in ("prefix", "suffix", "trigger") if getattr(options, name)]
        if worded and not (self._kinds or self._exports.csv or self._exports.gallery):
            raise click.UsageError(f"{worded[0]} goes with --sidecar, --xmp, --csv or --gallery.")
        for name in ("prefix", "suffix", "trigger", "separator"):
            if not names.is_unicode(getattr(options, name)):
                raise click.UsageError(f"--{name} is not in the encoding of this terminal, UTF-8 as a rule.")
        if options.filelist and not options.recursive:
            raise click.UsageError("--no-recursive does not go with --filelist, which says all.")
        if options.existing != "skip" and not self._kinds:
            raise click.UsageError("--existing goes with --sidecar or --xmp.")

    def _summary(self, outcome: FolderOutcome) -> dict[str, Any]:
        rate = outcome.answered / outcome.seconds if outcome.seconds and outcome.answered else 0.0
        return {
            "pictures": outcome.pictures,
            "answered": outcome.answered,
            "before": outcome.before,
            "skipped": outcome.skipped,
            "failed": [{**names.members(name), "error": why} for name, why in outcome.failed.items()],
            "interrupted": outcome.interrupted,
            "seconds": round(outcome.seconds, 3),
            "pictures_per_second": round(rate, 2),
            "output": names.members(str(self._target))["file"],
            "files": {kind: names.members(str(path))["file"] for kind, path in self._exports.paths.items()},
        }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
