"""A growing answer cut into chunks that never end inside a character, and between words where there are spaces."""

from __future__ import annotations

import re
from collections.abc import Callable

_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U0002f800-\U0002fa1f]")


class Chunks:
    """Text to deliver, token by token (specification, section 7). `decode` turns ids into text."""

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._delivered = 0  # characters of the text of `_ids`

    def push(self, token: int) -> str:
        """What can be delivered after one more token; often nothing."""
        self._ids.append(token)
        text = self._decode(self._ids)
        if text.endswith("\n") or _IDEOGRAPH.match(text[-1:]):
            end = len(text)
        else:
            end = max(self._delivered, text.rfind(" ") + 1)
        chunk = text[self._delivered : end]
        self._delivered = end
        if text.endswith("\n"):  # nothing that follows changes a line that is done
            self._ids, self._delivered = [], 0
        return chunk

    def flush(self) -> str:
        """The rest, at the answer's end."""
        rest = self._decode(self._ids)[self._delivered :]
        self._ids, self._delivered = [], 0
        return rest
