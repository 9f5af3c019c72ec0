"""The events of an engine, for metrics and measurements."""

from __future__ import annotations


class EngineObserver:
    """Receives the events of one engine. This one ignores them; a subclass overrides those it needs.

    The methods are called on the engine's threads, some while its lock is held: they must be quick, must not raise and
    must not call the engine.
    """

    def waiting_rows(self, count: int) -> None:
        """The number of admitted rows that are not running changed."""

    def running_rows(self, count: int) -> None:
        """A tick ended with `count` rows in the running batch."""

    def row_admitted(self, queue_seconds: float) -> None:
        """A prepared row was taken out of the queue, `queue_seconds` after it had been put there."""

    def rows_prefilled(self, rows: int) -> None:
        """One prefill of `rows` rows succeeded."""

    def step_finished(self, rows: int) -> None:
        """One decode step of `rows` rows succeeded."""

    def first_token(self, seconds: float) -> None:
        """A row got its first token, `seconds` after its job was submitted."""

    def further_tokens(self, rows: int, seconds: float) -> None:
        """So many rows got a further token, `seconds` after the one before."""

    def row_answered(self, prompt_tokens: int, new_tokens: int) -> None:
        """A row ended with an answer; its prompt's tokens include those of its pictures."""

    def row_timed(self, prefill_seconds: float, decode_seconds: float) -> None:
        """A row that was answered took so long from the queue to its first token, and from there to its end."""

    def budget_changed(self, nbytes: int) -> None:
        """A running batch may hold so many bytes from now on."""

    def row_dropped(self, reason: str) -> None:
        """A row or a job ended without an answer; `reason` is an error code, `cancelled` or `queue_full`."""

    def released(self) -> None:
        """The engine has ended; its model's weights are released."""

    def out_of_memory(self) -> None:
        """A verb of the model failed because memory ran out."""
