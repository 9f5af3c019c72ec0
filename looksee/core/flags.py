"""What a model said when it was asked a question of yes or no: strictly, since a wrong flag is worse than none.

Understood are a bare verdict (`true`, `"false"`, `Yes.`), a sentence that begins with one (`Yes, there is.`), and JSON,
also in a code fence: a verdict by itself or as the member `flag` of an object. Whatever hesitates or contradicts itself
is not understood.
"""

from __future__ import annotations

import json
import re
from typing import Any

_VERDICTS = {"yes": True, "true": True, "no": False, "false": False}
_HESITATIONS = frozenset(
    "maybe perhaps possibly probably unsure uncertain unclear unknown depends either partly partially".split()
)
_FENCE = re.compile(r"```(?:json\b)?([^`]*)```", re.IGNORECASE)
_QUOTES = "\"'`*_\u201c\u201d\u2018\u2019"
_WORD = re.compile(r"[a-z]+(?:['\u2019][a-z]+)?")
# "No people are there." says no, but not to every question; "No. 5" says nothing. So behind "no", as behind "true" and
# "false", the sentence ends or pauses, or goes on with "it is", "there are" and the like.
_BEGINNING = re.compile(rf"[{_QUOTES}]*(yes|no|true|false)(?![\w-]|['\u2019]\w)[{_QUOTES}]*")
_PAUSE = re.compile(r"\s*(?:$|\n|[,;:!\u2013\u2014-](?!\d)|\.(?!\s*\d)|\s(?:there|it|this|that|they|he|she|the)\b)")
_AUXILIARY = "is|are|was|were|does|do|did|has|have|had|can|could"
_DENIAL = re.compile(
    rf"[\W_]*(?:there|it|this|that|they|he|she)\s+(?:(?:{_AUXILIARY})\s+not|(?:{_AUXILIARY})n['\u2019]t)\b"
)


def verdict(text: str) -> bool | None:
    """Whether the model said yes; None when it cannot be understood."""
    text = text.strip()
    if fenced := _FENCE.fullmatch(text):
        text = fenced[1].strip()
    try:
        said = json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        return _of_sentence(text)
    if isinstance(said, dict):
        said = said.get("flag")
    if isinstance(said, str):
        return _of_sentence(said)
    return said if isinstance(said, bool) else None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members; one that is given twice with different values has none."""
    found = dict(pairs)
    return {name: value for name, value in found.items() if all(other == value for key, other in pairs if key == name)}


def _of_sentence(text: str) -> bool | None:
    text = text.strip().lower()
    beginning = _BEGINNING.match(text)
    if beginning is None:
        return None
    first, rest = beginning[1], text[beginning.end() :]
    if first != "yes" and not _PAUSE.match(rest):
        return None
    said = _VERDICTS[first]
    words = _WORD.findall(rest)
    contradicted = any(_VERDICTS.get(word, said) is not said for word in words) or (said and _DENIAL.match(rest))
    if contradicted or not _HESITATIONS.isdisjoint(words) or "?" in rest:
        return None
    return said
