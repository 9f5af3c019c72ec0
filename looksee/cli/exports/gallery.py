"""A page with all pictures and answers of a folder in one file, which needs nothing else and asks nobody."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from looksee.cli.exports import gallery_page
from looksee.cli.exports.answers import FolderAnswer
from looksee.cli.names import shown
from looksee.core.errors import LookseeError
from looksee.core.geometry import Box
from looksee.core.images import decode

_SIDE = 360  # pixels of a small picture's longer side
_QUALITY = 80
# As in pictures with marks: distinguishable with colour blindness.
_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7")


def gallery(
    answers: Sequence[FolderAnswer], texts: Sequence[str], failed: Mapping[str, str], pictures: Path, title: str
) -> Iterator[bytes]:
    """The page in parts. `texts` are those under the pictures, `failed` the pictures without an answer and why."""
    yield gallery_page.HEAD.replace("{title}", escape(shown(title))).encode(errors="replace")
    yield f"<p class=count><span id=shown>{len(answers)}</span> of {len(answers)} pictures</p>".encode()
    if failed:
        items = "".join(f"<li><b>{escape(shown(name))}</b> {escape(why)}</li>" for name, why in failed.items())
        yield f"<details open><summary>{len(failed)} failed</summary><ul>{items}</ul></details>".encode(
            errors="replace"
        )
    yield b"<main>"
    for answer, text in zip(answers, texts, strict=True):
        yield _figure(answer, text, pictures).encode(errors="replace")
    yield b"</main>" + gallery_page.FOOT.encode()


def _figure(answer: FolderAnswer, text: str, pictures: Path) -> str:
    try:
        picture = f'<img alt="" src="{_small((pictures / answer.name).read_bytes())}">'
    except (OSError, LookseeError):
        picture = "<p class=gone>The picture cannot be read any more.</p>"
    name = escape(shown(answer.name))
    words = escape(text) if text else _counts(answer)
    marks = f"<svg viewBox='0 0 1 1' preserveAspectRatio=none>{_marks(answer)}</svg>" if answer.places else ""
    caption = f"<figcaption><p>{words}</p><small>{name}</small></figcaption>"
    return f"<figure><div class=picture>{picture}{marks}</div>{caption}</figure>\n"


def _marks(answer: FolderAnswer) -> str:
    colours = {label: _COLOURS[number % len(_COLOURS)] for number, label in enumerate(_labels(answer))}
    parts = []
    for found in answer.places:
        confidence = "" if found.confidence is None else f" {found.confidence:.2f}"
        title = f"<title>{escape(found.label)}{confidence}</title>"
        colour = colours[found.label]
        if isinstance(found.place, Box):
            left, top, right, bottom = found.place
            size = f"x={left:.5f} y={top:.5f} width={right - left:.5f} height={bottom - top:.5f}"
            parts.append(f"<rect {size} stroke='{colour}'>{title}</rect>")
        else:  # a line without length, whose round ends make a dot in whatever way the picture is stretched
            x, y = found.place
            parts.append(f"<path class=point d='M{x:.5f} {y:.5f}h0' stroke='{colour}'>{title}</path>")
    return "".join(parts)


def _labels(answer: FolderAnswer) -> list[str]:
    return list(dict.fromkeys(found.label for found in answer.places))


def _counts(answer: FolderAnswer) -> str:
    """What was found, in words."""
    labels = [found.label for found in answer.places]
    return ", ".join(f"{labels.count(label)} &times; {escape(label)}" for label in _labels(answer)) or "nothing found"


def _small(data: bytes) -> str:
    """A small JPEG of a picture as a data URI. Raises CorruptImage."""
    image = decode(data, least_side=_SIDE)
    image.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
