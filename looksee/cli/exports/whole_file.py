"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_whole(file: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file in one move: whoever reads it, and whoever is interrupted, has the old one or the new one.

    `content` may come in parts. An existing file's permissions stay, and links lead to where they led. Raises OSError.
    """
    parts = [content] if isinstance(content, bytes) else content
    target = Path(os.path.realpath(file))
    if target.exists() and not target.is_file():  # a pipe or a device cannot be replaced
        with target.open("wb") as opened:
            opened.writelines(parts)
        return
    # A short name, since the target's may be as long as names can be; hidden, so that no run takes it for a file.
    part = target.with_name(f".looksee-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with part.open("xb") as opened:
            if target.exists():
                part.chmod(target.stat().st_mode & 0o7777)
            opened.writelines(parts)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
