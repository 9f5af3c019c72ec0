"""What `deploy/verify-image` found, as a page of docs/."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_HEAD = """\
# The images, verified

`make verify-image` has built both images and tried them, and wrote this page. {when}, commit {commit}.

"""


@dataclass(frozen=True)
class CheckResult:
    """One check of one image: what was tried, whether it held, and what was seen."""

    image: str
    what: str
    passed: bool
    seen: str


def page(when: str, commit: str, facts: Mapping[str, str], notes: Iterable[str], results: Iterable[CheckResult]) -> str:
    """The page's text. `facts` are versions and sizes, `notes` sentences on what this run could not be like."""
    lines = ["| what | |", "|---|---|", *(f"| {_cell(what)} | {_cell(value)} |" for what, value in facts.items()), ""]
    lines += [f"- {note}" for note in notes]
    by_image: dict[str, list[CheckResult]] = {}
    for result in results:
        by_image.setdefault(result.image, []).append(result)
    for image, own in by_image.items():
        good = sum(result.passed for result in own)
        lines += [
            "",
            f"## {image}",
            "",
            f"{good} of {len(own)} checks passed.",
            "",
            "| check | result | seen |",
            "|---|---|---|",
        ]
        lines += [
            f"| {_cell(one.what)} | {'passed' if one.passed else '**failed**'} | {_cell(one.seen)} |" for one in own
        ]
    return _HEAD.format(when=when, commit=commit) + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def not_json(log: str) -> list[str]:
    """The lines of a log that are no JSON object, or name no process."""
    found = []
    for line in filter(None, log.splitlines()):
        try:
            record = json.loads(line)
            good = bool(record["process"].strip(":0123456789")) and bool(record["level"])
        except (ValueError, KeyError, TypeError, AttributeError):
            good = False
        if not good:
            found.append(line)
    return found
