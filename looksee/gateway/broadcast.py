"""A text that is sent to several listeners while it comes. One that is added later first gets what came before."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str], None]


class TextBroadcast:
    """For one event loop."""

    def __init__(self) -> None:
        self._sent = ""
        self._listeners: list[Listener] = []

    def sender(self) -> Listener | None:
        """A listener that sends the pieces of one run to all, from the text's beginning; None without listeners.

        Of a run that repeats the text, what an earlier run has sent is left out.
        """
        if not self._listeners:
            return None
        received = 0

        def send(piece: str) -> None:
            nonlocal received
            received += len(piece)
            if received > len(self._sent):
                self._send(piece[len(self._sent) - received :])

        return send

    def add(self, listener: Listener) -> None:
        """Send the text so far to `listener`, and then each further piece."""
        if self._sent:
            listener(self._sent)
        self._listeners.append(listener)

    def remove(self, listener: Listener) -> None:
        """Send no more to `listener`."""
        self._listeners.remove(listener)

    def _send(self, piece: str) -> None:
        self._sent += piece
        for listener in self._listeners:
            listener(piece)
