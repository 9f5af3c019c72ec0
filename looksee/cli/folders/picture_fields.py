"""The values of a prompt's fields for one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from looksee.cli import names
from looksee.cli.folders import prompts, xmp
from looksee.cli.folders.beside import Sidecar, XmpSidecar


def filled_for(text: str, picture: Path, data: bytes, sidecar: Sidecar) -> str:
    """A prompt about a picture with `data` in its file and a sidecar beside it. Raises OSError and ValueError."""

    def existing() -> str:
        return sidecar.text(sidecar.path(picture))

    def tags() -> str:
        own = XmpSidecar().path(picture)
        try:
            packets = [own.read_bytes()]
        except FileNotFoundError:
            packets = []
        words = xmp.keywords_of([*packets, *xmp.found_in(data)])
        return ", ".join(words or dict.fromkeys(filter(None, map(str.strip, existing().split(",")))))

    values: dict[str, Callable[[], str]] = {
        "name": lambda: picture.stem,
        "folder": lambda: picture.absolute().parent.name,
        "existing": existing,
        "tags": tags,
    }
    filled = prompts.filled(text, values)
    return filled if names.is_unicode(filled) else filled.encode(errors="backslashreplace").decode()
