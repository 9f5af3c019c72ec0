"""A text of at most so many words.

A word is what stands between white space and has a letter or a digit; of Chinese and Japanese, which write no spaces,
each character is one. A text with more words ends at the last sentence end in the second half of those it may have,
and where there is none behind the last of them.
"""

from __future__ import annotations

import re

# Ideographs, and Japanese syllables.
_SIGN = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[^\w\s]*(?:[{_SIGN}]|[^\W{_SIGN}][^\s{_SIGN}]*)[^\w\s]*")
_CLOSING = "\"'\u201d\u2019\u00bb)]}*_"
_ENDS = (".", "!", "?", "\u2026", "\u3002", "\uff01", "\uff1f")
_PAUSES = ",;:-\u2013\u2014(\uff0c\u3001\uff1b\uff1a[{\u201c\u2018\u00ab"
_SHORT = re.compile(r"\W*(?:[^\W\d_](?:\.[^\W\d_])*|mr|mrs|ms|dr|st|prof|vs|etc|approx|no|fig|jr|sr)\.", re.I)


def cut(text: str, most: int) -> str | None:
    """The text of at most `most` words that a longer one is cut to; None for one that has no more."""
    words = list(_words(text, most + 1))
    if len(words) <= most:
        return None
    return text[: _end(words[:most], most)].rstrip().rstrip(_PAUSES).rstrip()


def sure(text: str, most: int) -> str:
    """The part of an unfinished text that it begins with in any case, whatever follows and where it is cut."""
    if (found := cut(text, most)) is not None:
        return found
    words, least = list(_words(text, most + 1)), _least(most)
    if len(words) >= least:  # the last one may still grow, and become or stop being a sentence's end
        ends = [word.end() for word in words[least - 1 : -1] if _ends_sentence(word[0])]
        text = text[: ends[-1] if ends else words[least - 1].end()]
    return text.rstrip().rstrip(_PAUSES).rstrip()


def _words(text: str, most: int) -> list[re.Match[str]]:
    """The first `most` words."""
    found = []
    for word in _WORD.finditer(text):
        found.append(word)
        if len(found) == most:
            break
    return found


def _least(most: int) -> int:
    return (most + 1) // 2


def _end(words: list[re.Match[str]], most: int) -> int:
    """Where a text with more words than these is cut."""
    ends = [word.end() for word in words[_least(most) - 1 :] if _ends_sentence(word[0])]
    return ends[-1] if ends else words[-1].end()


def _ends_sentence(word: str) -> bool:
    return word.rstrip(_CLOSING).endswith(_ENDS) and not _SHORT.fullmatch(word)
