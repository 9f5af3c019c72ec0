"""Which pictures of a folder are meant: by patterns, by a list, with or without the folders below."""

from __future__ import annotations

import errno
import fnmatch
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from looksee.cli.names import shown
from looksee.cli.walking import FolderContents, contents, sort_in


@dataclass(frozen=True, kw_only=True)
class Selection:
    """`filelist` is a file with a path in each line, or `-` for standard input; a path is one from the folder."""

    globs: Sequence[str] = ()
    filelist: Path | None = None
    recursive: bool = True
    unmatched: list[str] = field(default_factory=list)  # pictures that no pattern matches

    def of(self, folder: Path, *, besides: Collection[Path]) -> FolderContents:
        """The contents that are meant. Raises OSError for the list, and ValueError for a path that leads out."""
        if self.filelist is None:
            found = contents(folder, besides=besides, recursive=self.recursive)
        else:
            found = FolderContents()
            for name in _listed(self.filelist, folder):
                if name in found.pictures:
                    continue
                try:
                    if (folder / name).is_dir():
                        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                    sort_in(name, folder / name, (), found)
                except OSError as error:
                    found.troubles[name] = error
        if self.globs:
            self.unmatched.extend(name for name in found.pictures if not self._matches(name))
            for name in self.unmatched:
                del found.pictures[name]
            found.others = [name for name in found.others if self._matches(name)]
        return found

    def _matches(self, name: str) -> bool:
        """A pattern without a slash is about the file's name alone; capitals count."""
        return any(
            fnmatch.fnmatchcase(name if "/" in pattern else name.rpartition("/")[2], pattern) for pattern in self.globs
        )


def _listed(filelist: Path, folder: Path) -> list[str]:
    """The paths in a list, by lines, or by zero bytes where it has some, as of `find -print0`."""
    content = sys.stdin.buffer.read() if str(filelist) == "-" else filelist.read_bytes()
    parts = content.split(b"\0") if b"\0" in content else content.splitlines()
    found = []
    for part in filter(None, parts):
        name = os.path.normpath(os.fsdecode(part))
        if Path(name).is_absolute():
            name = os.path.relpath(name, folder.absolute())
        if name == ".." or name.startswith("../"):
            raise ValueError(f"{shown(name)} in the list is not in the folder.")
        found.append(name)
    return found
