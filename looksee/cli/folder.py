"""A folder of pictures on its way through a service, in batches."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from looksee.cli.endings import NOTES
from looksee.cli.names import shown
from looksee.cli.picture import picture, reason
from looksee.cli.record import FileStamp, Record
from looksee.cli.service_client import ServiceClient, ServiceError, connected

_MOST_FILES, _MOST_BYTES = 64, 16 * 2**20  # in one request; a larger file goes alone
_LARGEST = 2**30  # bytes of a file that is read; no service takes one that is nearly as large
_TOO_LARGE = ("request_too_large", "too_many_items")
# Trouble that the next picture would have too.
_HOPELESS = ("weights_unavailable", "cloud_key_refused")


class FolderRun:
    """What is asked about pictures of a folder; the answers go to a record. `sizes` are their bytes, by their names."""

    def __init__(self, folder: Path, sizes: Mapping[str, int], asked: Mapping[str, Any], record: Record) -> None:
        self._folder, self._asked, self._record = folder, asked, record
        self._groups = deque(_grouped(sizes))
        # In a terminal only: elsewhere a bar is noise.
        self._bar = tqdm(total=len(sizes), unit="picture", disable=None, dynamic_ncols=True)
        self.failed: set[str] = set()

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
            try:
                await self._ask(service, names)
            except ServiceError as error:
                if error.code not in _TOO_LARGE:
                    raise
                rest = [name for name in names if name not in self.failed]
                if len(rest) == 1:
                    self._fail(rest[0], error.message)
                else:  # the service takes smaller requests than this
                    half = len(rest) // 2
                    self._groups.extendleft((rest[half:], rest[:half]))

    async def _ask(self, service: ServiceClient, names: Sequence[str]) -> None:
        sent = []
        for name, found in zip(names, await asyncio.to_thread(self._read, names), strict=True):
            if isinstance(found, Exception):
                self._fail(name, reason(found))
            else:
                sent.append((name, *found))
        if not sent:
            return
        # Without ids: a name may be no text that JSON can hold.
        async for line in service.batch({**self._asked, "items": [{"image": image} for _, image, _ in sent]}):
            name, _, stamp = sent[line.pop("index")]
            if line.pop("status") == 200:
                del line["id"]
                if failed := [one for one in line.get("results", ()) if "error" in one]:
                    # Not written down: the next run asks again, for all of them.
                    self._fail(name, f"'{failed[0]['object']}': {failed[0]['error']['message']}")
                    continue
                if note := NOTES.get(str(line.get("finish_reason"))):
                    self._say(f"{shown(name)}: {note}")
                self._record.write(name, line, stamp)
                self._bar.update()
                continue
            error = line["error"]
            if str(error["param"]).partition(".")[0] in self._asked or error["code"] in _HOPELESS:
                raise ServiceError(error["message"], error["code"])
            self._fail(name, error["message"])

    def _read(self, names: Sequence[str]) -> list[tuple[str, FileStamp] | Exception]:
        return [_read(self._folder / name) for name in names]

    def _fail(self, name: str, why: str) -> None:
        self.failed.add(name)
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


def _read(file: Path) -> tuple[str, FileStamp] | Exception:
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if found.st_size > _LARGEST:
                return ValueError(f"The file has {found.st_size} bytes; at most {_LARGEST} are read.")
            data = opened.read()
        return picture(data), FileStamp.of(data, found)
    except (OSError, ValueError) as error:
        return error
