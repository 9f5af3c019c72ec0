"""A folder of pictures on its way through a service, in batches.

A service that goes away while it is at work, as one that is started again does, is waited for, and asked for what is
missing. What it has no time for is asked again too; anything else that it says of a picture is said once.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from looksee.cli.endings import NOTES
from looksee.cli.names import shown
from looksee.cli.picture import picture, reason, trouble
from looksee.cli.record import FileStamp, Record
from looksee.cli.service_client import ServiceAway, ServiceClient, ServiceError, connected

_MOST_FILES, _MOST_BYTES = 64, 16 * 2**20  # in one request; a larger file goes alone
_LARGEST = 2**30  # bytes of a file that is read; no service takes one that is nearly as large
_TOO_LARGE = ("request_too_large", "too_many_items")
# Trouble that the next picture would have too.
_HOPELESS = ("weights_unavailable", "cloud_key_refused")


# Trouble that passes, of an item of a batch: it was asked while the service was busy, or ended.
_PASSING = (
    *("overloaded", "rate_limited", "model_not_ready", "service_stopping", "out_of_memory"),
    *("deadline_exceeded", "runner_failed"),
)
_TRIES = 3  # of a picture with such trouble
_PAUSE = 1.0  # seconds before they are asked again
_LONGEST_WAIT = 8.0  # seconds between two tries to reach the service

# What is in the record beside an answer, by the picture's name, its line and the line of earlier.
Written = Callable[[str, dict[str, Any]], Mapping[str, Any]]


class FolderRun:
    """What is asked about pictures of a folder; the answers go to a record. `sizes` are their bytes, by their names.

    `prompt` gives what is asked of one picture, where that is not the same for all: members of its item. `written` is
    called with each answer before the record has it, and gives further members of its line; what it raises, OSError or
    ValueError, is the picture's failure. `patience` is how many seconds a service that went away is waited for.
    """

    def __init__(
        self,
        folder: Path,
        sizes: Mapping[str, int],
        asked: Mapping[str, Any],
        record: Record,
        *,
        prompt: Callable[[str, bytes], Mapping[str, Any]] | None = None,
        written: Written | None = None,
        patience: float = 120.0,
    ) -> None:
        self._folder, self._asked, self._record = folder, asked, record
        self._prompt, self._written, self._patience = prompt, written, patience
        self._groups = deque(_grouped(sizes))
        self._tries: Counter[str] = Counter()
        self._reached: float | None = None  # when the service last answered anything
        self._waits = 0
        # In a terminal only: elsewhere a bar is noise.
        self._bar = tqdm(total=len(sizes), unit="picture", disable=None, dynamic_ncols=True)
        self.failed: dict[str, str] = {}
        self.answered = 0

    async def run(self, url: str, key: str, concurrency: int) -> None:
        """Raises ServiceError for what concerns all of them; what concerns one is said, and remembered as failed."""
        try:
            with self._bar:
                async with connected(url, key) as service, asyncio.TaskGroup() as workers:
                    for _ in range(concurrency):
                        workers.create_task(self._go(service))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _go(self, service: ServiceClient) -> None:
        while self._groups:
            names = self._groups.popleft()
            left = dict.fromkeys(names)
            try:
                await self._ask(service, names, left)
            except ServiceAway as error:
                self._groups.appendleft(list(left))
                await self._wait(error)
            except ServiceError as error:
                if error.code not in _TOO_LARGE:
                    raise
                rest = list(left)
                if len(rest) == 1:
                    self._fail(rest[0], error.message)
                else:  # the service takes smaller requests than this
                    half = len(rest) // 2
                    self._groups.extendleft((rest[half:], rest[:half]))

    async def _wait(self, error: ServiceAway) -> None:
        """Until the next try. Raises the error where the service never was there, or has been away for too long."""
        if self._reached is None or time.monotonic() - self._reached >= self._patience:
            raise error
        if not self._waits:
            self._say(f"{error.message} Waiting for it.")
        self._waits += 1
        await asyncio.sleep(min(2.0 ** (self._waits - 2), _LONGEST_WAIT))

    async def _ask(self, service: ServiceClient, names: Sequence[str], left: dict[str, None]) -> None:
        """Have pictures answered; `left` loses each that is done with."""
        sent = []
        for name, found in zip(names, await asyncio.to_thread(self._read, names), strict=True):
            if isinstance(found, Exception):
                del left[name]
                self._fail(name, reason(found))
            else:
                sent.append((name, *found))
        if not sent:
            return
        body = {member: value for member, value in self._asked.items() if member not in sent[0][1]}
        # Without ids: a name may be no text that JSON can hold.
        async for line in service.batch({**body, "items": [item for _, item, _ in sent]}):
            self._reached, self._waits = time.monotonic(), 0
            name, item, stamp = sent[line.pop("index")]
            if line.pop("status") == 200:
                del left[name], line["id"]
                self._take(name, {**{key: value for key, value in item.items() if key != "image"}, **line}, stamp)
                continue
            error = line["error"]
            if str(error["param"]).partition(".")[0] in body or error["code"] in _HOPELESS:
                raise ServiceError(error["message"], error["code"])
            self._tries[name] += 1
            if error["code"] not in _PASSING or self._tries[name] == _TRIES:
                del left[name]
                self._fail(name, error["message"])
        if left:
            # Each by itself: one may be what its model's process fails with, and would take the others with it.
            self._groups.extend([name] for name in left)
            await asyncio.sleep(_PAUSE)

    def _take(self, name: str, line: dict[str, Any], stamp: FileStamp) -> None:
        if failed := [one for one in line.get("results", ()) if "error" in one]:
            # Not written down: the next run asks again, for all of them.
            self._fail(name, f"'{failed[0]['object']}': {failed[0]['error']['message']}")
            return
        if note := NOTES.get(str(line.get("finish_reason"))):
            self._say(f"{shown(name)}: {note}")
        try:
            more = self._written(name, line) if self._written else {}
        except (OSError, ValueError) as error:
            self._fail(name, trouble(error))
            return
        self._record.write(name, {**line, **more}, stamp)
        self.answered += 1
        self._bar.update()

    def _read(self, names: Sequence[str]) -> list[tuple[dict[str, Any], FileStamp] | Exception]:
        return [self._item(name) for name in names]

    def _item(self, name: str) -> tuple[dict[str, Any], FileStamp] | Exception:
        """A picture's item of the batch, and which file it was."""
        try:
            data, stamp = _read(self._folder / name)
            return {"image": picture(data), **(self._prompt(name, data) if self._prompt else {})}, stamp
        except (OSError, ValueError) as error:
            return error

    def _fail(self, name: str, why: str) -> None:
        self.failed[name] = why
        self._bar.update()
        self._say(f"{shown(name)}: {why}")

    def _say(self, text: str) -> None:
        with self._bar.external_write_mode():
            click.echo(text, err=True)


def _grouped(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """The names in parts of which each makes a request."""
    group: list[str] = []
    total = 0
    for name, size in sizes.items():
        if group and (len(group) == _MOST_FILES or total + size > _MOST_BYTES):
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group


def _read(file: Path) -> tuple[bytes, FileStamp]:
    """A file's bytes, and which file it was. Raises OSError and ValueError."""
    with file.open("rb") as opened:
        found = os.fstat(opened.fileno())
        if found.st_size > _LARGEST:
            raise ValueError(f"The file has {found.st_size} bytes; at most {_LARGEST} are read.")
        data = opened.read()
    return data, FileStamp.of(data, found)
