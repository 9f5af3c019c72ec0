"""What is written beside each picture: a text file for trainers, and XMP for programs that manage photographs."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from looksee.cli.exports.whole_file import write_whole
from looksee.cli.folders.wording import Existing, SidecarText
from looksee.cli.folders.xmp import XmpPacket
from looksee.cli.names import shown
from looksee.core.image_formats import sniff
from looksee.core.tags import tags

_HEAD = 4096  # bytes that tell what a file is
_MOST_BYTES = 16 * 2**20  # of a file beside a picture


class Sidecar(Protocol):
    """A kind of file beside a picture. Its methods raise OSError, and ValueError for a file of another kind."""

    suffix: str

    def path(self, picture: Path) -> Path: ...

    def text(self, path: Path) -> str:
        """What is there; empty if nothing is."""
        ...

    def content(self, path: Path, answer: str, wording: SidecarText, how: Existing) -> bytes:
        """The file as it is to be, with an answer."""
        ...


class TextSidecar:
    """The picture's name with another ending, as kohya's trainers and TagGUI have it."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    def path(self, picture: Path) -> Path:
        return picture.with_suffix(self.suffix)

    def text(self, path: Path) -> str:
        try:
            return _bytes(path).decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            raise ValueError(f"{shown(path.name)} is not UTF-8, and was left as it is.") from None

    def content(self, path: Path, answer: str, wording: SidecarText, how: Existing) -> bytes:
        existing = "" if how == "overwrite" else self.text(path)
        return wording.merged(existing, answer, how).encode(errors="replace")


class XmpSidecar:
    """`a.jpg.xmp`, which cannot be another picture's; `a.xmp` where that is there already."""

    suffix = ".xmp"

    def path(self, picture: Path) -> Path:
        full = picture.with_name(f"{picture.name}.xmp")
        short = picture.with_suffix(".xmp")
        return short if _exists(short) and not _exists(full) else full

    def text(self, path: Path) -> str:
        return self._packet(path).description

    def content(self, path: Path, answer: str, wording: SidecarText, how: Existing) -> bytes:
        packet = self._packet(path)
        packet.describe(wording.merged(packet.description, answer, how))
        packet.add_keywords(tag for tag in tags(answer) if "_" not in tag)
        return packet.content()

    def _packet(self, path: Path) -> XmpPacket:
        try:
            return XmpPacket(_bytes(path))
        except ValueError as error:
            raise ValueError(f"{shown(path.name)}: {error} It was left as it is.") from None


class Beside:
    """The files beside the pictures of a folder, and what of them is ours."""

    def __init__(
        self,
        folder: Path,
        kinds: Sequence[Sidecar],
        how: Existing,
        wording: SidecarText,
        reserved: Collection[Path] = (),
    ) -> None:
        """`reserved` are files that something else is written to."""
        self._folder, self._kinds, self._how, self._wording = folder, kinds, how, wording
        self._reserved = {path.resolve() for path in reserved}

    @property
    def wording(self) -> dict[str, str]:
        """What is put around an answer, for the record."""
        return {name: value for name, value in asdict(self._wording).items() if value}

    def paths(self, name: str) -> list[Path]:
        return [kind.path(self._folder / name) for kind in self._kinds]

    def clashes(self, names: Iterable[str]) -> dict[str, str]:
        """By its name what is wrong with each picture whose file would be another picture's too, or is a picture."""
        owners: dict[Path, list[str]] = defaultdict(list)
        found = {}
        for name in sorted(names):
            for path in self.paths(name):
                owners[path].append(name)
                if len(owners[path]) > 1:
                    found[name] = f"{shown(path.name)} would be written for {shown(owners[path][0])} too."
                elif why := self._refusal(path):
                    found[name] = why
        return found

    def is_wanted(self, name: str, earlier: Mapping[str, Any] | None) -> bool:
        """Whether an answer about the picture would be written anywhere. `earlier` is the last line about it."""
        return any(self._is_open(kind, name, earlier) for kind in self._kinds)

    def is_done(self, name: str, line: Mapping[str, Any]) -> bool:
        """Whether the answer of a line was written beside the picture in these words, whatever became of it since."""
        written = _digests(line) if (line.get("wording") or {}) == self.wording else {}
        return all(
            (kind.suffix in written and _exists(kind.path(self._folder / name))) or not self._is_open(kind, name, line)
            for kind in self._kinds
        )

    def write(self, name: str, answer: str, earlier: Mapping[str, Any] | None) -> dict[str, str]:
        """Write an answer; the SHA-256 of each of our files, by its ending. Raises OSError and ValueError."""
        written = dict(_digests(earlier or {}))
        for kind in self._kinds:
            if not self._is_open(kind, name, earlier):
                continue
            path = kind.path(self._folder / name)
            if why := self._refusal(path):
                raise ValueError(why)
            how = "overwrite" if self._how == "skip" else self._how
            content = kind.content(path, answer, self._wording, how)
            write_whole(path, content)
            written[kind.suffix] = hashlib.sha256(content).hexdigest()
        return written

    def _refusal(self, path: Path) -> str | None:
        """Why nothing is written there, whatever is asked."""
        kind = None
        if _exists(path) and not path.is_file():
            kind = "no file"  # a pipe would be waited for
        elif _is_picture(path):
            kind = "a picture"
        elif self._reserved and path.resolve() in self._reserved:
            kind = "what the answers are written to"
        return kind and f"{shown(path.name)}, which would be written beside it, is {kind}."

    def _is_open(self, kind: Sidecar, name: str, earlier: Mapping[str, Any] | None) -> bool:
        """Whether what there is may be touched: nothing is there, it may be replaced, or it is our own."""
        if self._how != "skip":
            return True
        path = kind.path(self._folder / name)
        try:
            if not kind.text(path):
                return True
            ours = _digests(earlier or {}).get(kind.suffix)
            return ours is not None and hashlib.sha256(_bytes(path)).hexdigest() == ours
        except (OSError, ValueError):
            return False


def known_sidecars(names: Collection[str], folder: Path, kinds: Sequence[Sidecar]) -> set[str]:
    """By their paths from the folder, the files that are or would be beside pictures."""
    return {os.path.relpath(kind.path(folder / name), folder) for name in names for kind in kinds}


def _digests(line: Mapping[str, Any]) -> Mapping[str, str]:
    found = line.get("beside")
    return found if isinstance(found, dict) else {}


def _bytes(path: Path) -> bytes:
    """A file's contents; none where there is no file."""
    try:
        known = path.stat()
        if not stat.S_ISREG(known.st_mode):
            raise ValueError(f"{shown(path.name)} is no file.")
        if known.st_size > _MOST_BYTES:
            raise ValueError(f"{shown(path.name)} has more than {_MOST_BYTES} bytes, and was left as it is.")
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except OSError:  # the name may be too long as well
        return False
    return True


def _is_picture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return sniff(file.read(_HEAD)) is not None
    except OSError:
        return False
