"""What of a growing answer can be delivered: whole words where there are spaces, and never a part of a character."""

from __future__ import annotations

import re

_END = re.compile("[ \n\u3400-\u4dbf\u4e00-\u9fff\U0002f800-\U0002fa1f]")  # of a word, a line; an ideograph is a word


def whole_words(text: str) -> str:
    """The part of an unfinished text that ends with a word (specification, section 7).

    It only grows with the text, so what comes behind what was delivered before is the next chunk.
    """
    return text[: max((found.end() for found in _END.finditer(text)), default=0)]
