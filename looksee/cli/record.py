"""The file that answers about a folder are written to: a line of JSON for each picture, and what is in it already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Record:
    """Appends to a file, and knows for which pictures it has the answers to what is `asked` now.

    A line of another question, model or length is another answer: it stays, and counts for nothing here.
    """

    def __init__(self, file: Path, asked: Mapping[str, Any]) -> None:
        self._asked = dict(asked)
        self.done: set[str] = set()
        whole = True
        if file.exists():
            with file.open("rb") as lines:
                for line in lines:
                    whole = line.endswith(b"\n")
                    self._take(line)
        self._file = file.open("ab")
        if not whole:  # whoever wrote it was killed in the middle of a line
            self._file.write(b"\n")

    def write(self, name: str, answer: Mapping[str, Any]) -> None:
        """Add an answer; it is in the file when this returns."""
        line = json.dumps({"file": name, "asked": self._asked, **answer}, ensure_ascii=False)
        self._file.write(line.encode(errors="replace") + b"\n")
        self._file.flush()
        self.done.add(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._file.close()

    def _take(self, line: bytes) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            return
        if isinstance(found, dict) and found.get("asked") == self._asked:
            self.done.add(str(found.get("file")))
