"""A folder of pictures on its way through a service, in batches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from looksee.cli.picture import picture, trouble
from looksee.cli.record import Record
from looksee.cli.service_client import ServiceClient, ServiceError, connected

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_MOST_FILES, _MOST_BYTES = 64, 16 * 2**20  # in one request; a larger file goes alone
_TOO_LARGE = ("request_too_large", "too_many_items")
# Trouble that the next picture would have too.
_HOPELESS = ("weights_unavailable", "cloud_key_refused")


def pictures(folder: Path) -> list[str]:
    """The pictures in a folder and below, but for hidden ones, by their paths from there."""
    found = (file.relative_to(folder) for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES)
    return sorted(
        path.as_posix()
        for path in found
        if not any(part.startswith(".") for part in path.parts) and (folder / path).is_file()
    )


class FolderRun:
    """What is asked about the pictures `names` of a folder; the answers go to a record."""

    def __init__(self, folder: Path, names: Sequence[str], asked: Mapping[str, Any], record: Record) -> None:
        self._folder, self._asked, self._record = folder, asked, record
        self._groups = deque(_grouped(folder, names))
        # In a terminal only: elsewhere a bar is noise.
        self._bar = tqdm(total=len(names), unit="picture", disable=None, dynamic_ncols=True)
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
        items = []
        for name, image in zip(names, await asyncio.to_thread(self._read, names), strict=True):
            if isinstance(image, str):
                items.append({"id": name, "image": image})
            else:
                self._fail(name, trouble(image))
        if not items:
            return
        async for line in service.batch({**self._asked, "items": items}):
            name, status = line.pop("id"), line.pop("status")
            if status == 200:
                del line["index"]
                self._record.write(name, line)
                self._bar.update()
                continue
            error = line["error"]
            if error["param"] in self._asked or error["code"] in _HOPELESS:
                raise ServiceError(error["message"], error["code"])
            self._fail(name, error["message"])

    def _read(self, names: Sequence[str]) -> list[str | Exception]:
        return [_read(self._folder / name) for name in names]

    def _fail(self, name: str, why: str) -> None:
        self.failed.add(name)
        self._bar.update()
        with self._bar.external_write_mode():
            click.echo(f"{name}: {why}", err=True)


def _grouped(folder: Path, names: Sequence[str]) -> Iterator[list[str]]:
    """The names in parts of which each makes a request."""
    group: list[str] = []
    size = 0
    for name in names:
        own = (folder / name).stat().st_size
        if group and (len(group) == _MOST_FILES or size + own > _MOST_BYTES):
            yield group
            group, size = [], 0
        group.append(name)
        size += own
    if group:
        yield group


def _read(file: Path) -> str | Exception:
    try:
        return picture(file)
    except (OSError, ValueError) as error:
        return error
