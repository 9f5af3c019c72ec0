"""The text that goes beside a picture: an answer what a trainer wants around it, what is there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Existing = Literal["skip", "overwrite", "append", "prepend"]
EXISTING: tuple[Existing, ...] = ("skip", "overwrite", "append", "prepend")


@dataclass(frozen=True, slots=True)
class SidecarText:
    """`prefix` and `suffix` are put to the answer as they are. `trigger` is the first part of the whole text, once."""

    prefix: str = ""
    suffix: str = ""
    trigger: str = ""
    separator: str = ", "

    def own(self, answer: str) -> str:
        """An answer in one line, which is all that some trainers read."""
        return f"{self.prefix}{' '.join(answer.split())}{self.suffix}".strip()

    def merged(self, existing: str, answer: str, how: Existing) -> str:
        """The text with what is there. An answer that is in its place already is not added again."""
        own, old = self.own(answer), self._without_trigger(existing.strip())
        if how == "append" and old:
            text = old if old == own or old.endswith(f"{self.separator}{own}") else f"{old}{self.separator}{own}"
        elif how == "prepend" and old:
            text = old if old == own or old.startswith(f"{own}{self.separator}") else f"{own}{self.separator}{old}"
        else:
            text = own
        return f"{self.trigger}{self.separator}{text}" if self.trigger else text

    def _without_trigger(self, text: str) -> str:
        if not self.trigger:
            return text
        return "" if text == self.trigger else text.removeprefix(f"{self.trigger}{self.separator}")
