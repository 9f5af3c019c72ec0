"""The file that answers about a folder are written to: a line of JSON for each picture, and what is in it already."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from looksee.cli import names

# Ends of lines for many programs, though not for JSON.
_LINE_ENDS = {ord(character): f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"}

_OWN = ("file", "file_bytes", "asked", "picture")  # members that every line has of itself


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Which file it was that was answered about."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, data: bytes, found: os.stat_result) -> FileStamp:
        return cls(len(data), found.st_mtime_ns, hashlib.sha256(data).hexdigest())

    def is_of(self, file: Path, found: os.stat_result) -> bool:
        """Whether the file is still the same. It is read where its time alone is another, as a copy has it."""
        if found.st_size != self.size or found.st_mtime_ns == self.mtime_ns:
            return found.st_size == self.size
        try:
            with file.open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest() == self.sha256
        except OSError:
            return False


class Record:
    """Appends to a file, and knows for which pictures it has the answers to what is `asked` now.

    A line of another question, model or length is another answer: it stays, and counts for nothing here. Of several
    lines about a picture the last one counts.
    """

    def __init__(self, file: Path, asked: Mapping[str, Any]) -> None:
        self._asked = dict(asked)
        self._answered: dict[str, tuple[FileStamp | None, int]] = {}  # and where its line begins
        whole, place = True, 0
        # A pipe or a terminal has nothing to read.
        readable = not file.exists() or file.is_file()
        if file.is_file():
            with file.open("rb") as lines:
                for line in lines:
                    whole = line.endswith(b"\n")
                    self._take(line, place)
                    place += len(line)
        self._file = file.open("ab")
        self._lines = file.open("rb") if readable else None
        if not whole:  # whoever wrote it was killed in the middle of a line
            self._file.write(b"\n")

    def has(self, name: str, file: Path, found: os.stat_result) -> bool:
        """Whether a picture was answered about, and is still the same file. Lines of old say nothing of the file."""
        if name not in self._answered:
            return False
        stamp, _ = self._answered[name]
        return stamp is None or stamp.is_of(file, found)

    def write(self, name: str, answer: Mapping[str, Any], stamp: FileStamp | None) -> None:
        """Add an answer; it is in the file when this returns."""
        members: dict[str, Any] = {**names.members(name), "asked": self._asked, **answer}
        if stamp is not None:
            members["picture"] = asdict(stamp)
        line = json.dumps(members, ensure_ascii=False).translate(_LINE_ENDS)
        place = self._file.tell() if self._lines else 0
        self._file.write(line.encode(errors="replace") + b"\n")
        self._file.flush()
        self._answered[name] = stamp, place

    def line(self, name: str) -> dict[str, Any] | None:
        """The last line about a picture, in whatever state the picture was; None where there is none to be read."""
        if name not in self._answered or self._lines is None:
            return None
        self._lines.seek(self._answered[name][1])
        try:
            found: dict[str, Any] = json.loads(self._lines.readline())
        except ValueError:  # another program wrote here at the same time
            return None
        return found

    def add_to(self, name: str, line: Mapping[str, Any], added: Mapping[str, Any]) -> None:
        """Add the line of a picture once more, with further members."""
        answer = {member: value for member, value in line.items() if member not in _OWN}
        self.write(name, {**answer, **added}, _stamp(line.get("picture")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._lines:
            self._lines.close()
        self._file.close()  # last: it raises where a line could not be written

    def _take(self, line: bytes, place: int) -> None:
        try:
            found = json.loads(line)
            if isinstance(found, dict) and found.get("asked") == self._asked:
                self._answered[names.named(found)] = _stamp(found.get("picture")), place
        except (ValueError, TypeError, KeyError, RecursionError):
            return


def _stamp(found: object) -> FileStamp | None:
    """What a line says of its file; None where it says nothing that is known."""
    try:
        return FileStamp(**found) if isinstance(found, dict) else None
    except TypeError:
        return None
