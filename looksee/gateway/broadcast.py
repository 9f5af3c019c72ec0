"""A text as it comes, told to all who follow it: whoever comes later hears at once what the others have heard."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str], None]


class TextBroadcast:
    """For one event loop."""

    def __init__(self) -> None:
        self._told = ""
        self._listeners: list[Listener] = []

    def tell(self, piece: str) -> None:
        self._told += piece
        for listener in self._listeners:
            listener(piece)

    def follow(self, listener: Listener) -> None:
        if self._told:
            listener(self._told)
        self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    @property
    def is_followed(self) -> bool:
        return bool(self._listeners)
