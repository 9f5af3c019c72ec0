"""A text as it comes, told to all who follow it: whoever comes later hears at once what the others have heard."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str], None]


class TextBroadcast:
    """For one event loop."""

    def __init__(self) -> None:
        self._told = ""
        self._listeners: list[Listener] = []

    def teller(self) -> Listener | None:
        """A listener for the pieces of one run, from the text's beginning; None if nothing follows.

        Of a run that repeats the text, the part that an earlier run told is left out.
        """
        if not self._listeners:
            return None
        taken = 0

        def tell(piece: str) -> None:
            nonlocal taken
            taken += len(piece)
            if taken > len(self._told):
                self._tell(piece[len(self._told) - taken :])

        return tell

    def follow(self, listener: Listener) -> None:
        if self._told:
            listener(self._told)
        self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    def _tell(self, piece: str) -> None:
        self._told += piece
        for listener in self._listeners:
            listener(piece)
