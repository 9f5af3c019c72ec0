"""The part of a growing answer that is streamed: whole words where the text has spaces, always whole characters."""

from __future__ import annotations

import re

# As much as there is, and at its end a space or an ideograph, which is a word: searched from the end.
_WHOLE = re.compile(".*[ \n\u3400-\u4dbf\u4e00-\u9fff\U0002f800-\U0002fa1f]", re.DOTALL)


def whole_words(text: str) -> str:
    """The part of an unfinished text up to the end of its last whole word (specification, section 7).

    It only grows as the text grows, so what it gains is the next chunk.
    """
    found = _WHOLE.match(text)
    return found[0] if found else ""
