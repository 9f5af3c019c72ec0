"""What is in a folder: the pictures, whatever they are called, and what is left out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from looksee.core.image_formats import FORMATS, sniff

_HEAD = 4096  # bytes of a file that tell what it is
_SUFFIXES = frozenset(suffix for one in FORMATS.values() for suffix in one.suffixes)
# Raw photographs begin like a TIFF, but their pixels are in no form that is known here.
_RAW = frozenset(f".{one}" for one in "3fr arw cr2 dcr dng erf fff iiq kdc mef mos nef nrw pef sr2 srf srw".split())


@dataclass
class FolderContents:
    """By their paths from the folder. `troubles` are files and folders that cannot be read, each with the reason."""

    pictures: dict[str, os.stat_result] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    linked_folders: list[str] = field(default_factory=list)
    troubles: dict[str, OSError] = field(default_factory=dict)


def contents(folder: Path, *, besides: Path | Collection[Path], recursive: bool = True) -> FolderContents:
    """Look through a folder and those below it, but for hidden files and the files and folders `besides`.

    A file is a picture by its first bytes; one that is called a picture counts as one too, so that it is missed when it
    is none. Raw photographs are left out: most lie beside a JPEG. Links to folders are not followed, since they may
    lead anywhere, and around.
    """
    found = FolderContents()
    own = [known for path in ([besides] if isinstance(besides, Path) else besides) if (known := _stat(path))]
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below) as entries:
                there = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            found.troubles[below or "."] = error
            continue
        for entry in there:
            name = below + entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if recursive and not _is_among(entry.stat(), own):
                        waiting.append(f"{name}/")
                else:
                    sort_in(name, folder / name, own, found)
            except OSError as error:
                found.troubles[name] = error
    found.pictures = dict(sorted(found.pictures.items()))
    found.others.sort()
    return found


def sort_in(name: str, path: Path, besides: Collection[os.stat_result], found: FolderContents) -> None:
    """Put a file to those of its kind; one that is among `besides` to none. Raises OSError."""
    known = path.stat()
    if stat.S_ISDIR(known.st_mode):
        found.linked_folders.append(name)
    elif _is_among(known, besides):
        return
    elif stat.S_ISREG(known.st_mode) and is_picture(path):
        found.pictures[name] = known
    else:  # a pipe or a device is not opened: it would be waited for
        found.others.append(name)


def is_picture(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in _SUFFIXES or suffix in _RAW:
        return suffix in _SUFFIXES
    with path.open("rb", buffering=0) as file:
        return sniff(file.read(_HEAD)) is not None


def _is_among(known: os.stat_result, others: Collection[os.stat_result]) -> bool:
    return any(os.path.samestat(known, other) for other in others)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
