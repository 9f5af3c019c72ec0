"""What the ids of one row say: where its text ends, what of it may be shown already, and how it has ended."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from looksee.core.tasks import Finish
from looksee.models.texts.detokenize import Detokenizer, GrowingText, stable_prefix, truncate_at_stop
from looksee.models.texts.repetition import Repetition


class RowText:
    """Of one row, whose ids only become more: they are all passed each time, and what was seen before is not redone."""

    def __init__(
        self,
        detokenizer: Detokenizer,
        stop: Sequence[str] = (),
        before: Sequence[int] = (),
        *,
        forced: bool = False,
    ) -> None:
        """`before`: ids of a prompt that the text continues. One that is `forced` into a form may repeat itself: a list
        of zeros is one.
        """
        self._detokenizer, self._stop, self._before = detokenizer, tuple(stop), list(before)
        self._repetition = None if forced else Repetition()
        self._watched: GrowingText | None = None  # for stop strings
        self._told: GrowingText | None = None  # for who listens
        self._searched = 0  # characters in which no stop string begins

    def end(self, ids: Sequence[int]) -> Finish | None:
        """How a row with these ids has ended, if by what they say: at a stop string, or since it repeats itself."""
        repetition = self._repeated(ids)
        if self._stop and self._has_stop(ids):
            return "stop"
        return "loop" if repetition is not None and repetition.is_loop else None

    def partial(self, ids: Sequence[int]) -> str:
        """The part of an unfinished row's text that no further id changes."""
        repetition = self._repeated(ids)
        self._told = self._told or GrowingText(self._detokenizer, self._before)
        self._told.take(ids if repetition is None else ids[: repetition.shown])
        return stable_prefix(truncate_at_stop(self._told.stable, self._stop)[0].lstrip(), self._stop)

    def so_far(self, ids: Sequence[int]) -> str:
        """The text of all the ids, cut before the first stop string."""
        return truncate_at_stop(self._decoded(ids), self._stop)[0].lstrip()

    def whole(self, ids: Sequence[int], finish: Finish | None) -> tuple[str, Finish]:
        """The text of a row that has finished, and how it has. One that repeats itself ends behind the second time."""
        repetition = self._repeated(ids)
        if repetition is not None and (finish == "loop" or (finish == "length" and repetition.is_cut_loop)):
            finish, ids = "loop", ids[: repetition.shown]
        text = self.so_far(ids).strip()
        return text, (finish or "length") if text else "empty"

    def shown(self, ids: Sequence[int], finish: Finish) -> int:
        """How many of the first ids the text of `whole` is made of, the last of them maybe in part."""
        count = self._repetition.shown if self._repetition is not None and finish == "loop" else len(ids)
        text = self._decoded(ids[:count])
        cut, stopped = truncate_at_stop(text, self._stop)
        if not stopped:
            return count
        end = len(cut.rstrip())  # the space may be the stop string's token's
        return bisect_left(range(count), end, key=lambda some: len(self._decoded(ids[:some])))

    def _repeated(self, ids: Sequence[int]) -> Repetition | None:
        if self._repetition is not None:
            self._repetition.take(ids)
        return self._repetition

    def _has_stop(self, ids: Sequence[int]) -> bool:
        self._watched = self._watched or GrowingText(self._detokenizer, self._before)
        self._watched.take(ids)
        begin = self._searched
        self._searched = max(begin, self._watched.settled - max(map(len, self._stop)))
        return any(self._watched.text.find(string, begin) >= 0 for string in self._stop)

    def _decoded(self, ids: Sequence[int]) -> str:
        skipped = len(self._detokenizer.decode(self._before)) if self._before else 0
        return self._detokenizer.decode([*self._before, *ids])[skipped:]
