"""What a Markdown page has in it: headings, links, fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (?P<words>.+)$", re.MULTILINE)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. Its info string is a language, and `no-test` behind it where no test runs the block."""

    page: Path
    line: int
    info: str
    text: str
    follows: str  # what stands between the block before it and this one

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def tested(self) -> bool:
        return self.info.partition(" ")[2] != "no-test"

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]


def blocks(page: Path) -> list[Block]:
    """The page's fenced blocks, in order."""
    text = page.read_text()
    found, end = [], 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match["info"].strip(), match["text"], text[end : match.start()]))
        end = match.end()
    return found


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> list[str]:
    return [match["target"] for match in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """What `#...` may name on the page, as GitHub makes it of headings."""
    words = [match["words"].replace("`", "") for match in _HEADING.finditer(prose(page))]
    return {_NOT_IN_ANCHORS.sub("", heading.strip().lower()).replace(" ", "-") for heading in words}
