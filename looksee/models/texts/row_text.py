"""What the ids of one row say: where its text ends, what of it may be shown already, and how it has ended."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from looksee.core.tasks import Finish
from looksee.core.texts import AS_WRITTEN, Wording
from looksee.models.texts import openings, word_limit
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
        wording: Wording = AS_WRITTEN,
    ) -> None:
        """`before`: ids of a prompt that the text continues. One that is `forced` into a form may repeat itself: a list
        of zeros is one. All texts but those of `shown` are by the `wording`.
        """
        self._wording = wording
        self._detokenizer, self._stop, self._before = detokenizer, tuple(stop), list(before)
        self._repetition = None if forced else Repetition()
        self._watched: GrowingText | None = None  # for stop strings
        self._told: GrowingText | None = None  # for who listens
        self._searched = 0  # characters in which no stop string begins

    def end(self, ids: Sequence[int]) -> Finish | None:
        """How a row with these ids has ended, if by what they say: at a stop string, since it has a word more than it
        may have, or since it repeats itself.
        """
        repetition = self._repeated(ids)
        if self._stop and self._has_stop(ids):
            return "stop"
        if self._wording.max_words is not None and self._has_too_many_words(ids):
            return "length"
        return "loop" if repetition is not None and repetition.is_loop else None

    def partial(self, ids: Sequence[int]) -> str:
        """The part of an unfinished row's text that no further id changes."""
        repetition = self._repeated(ids)
        self._told = self._told or GrowingText(self._detokenizer, self._before)
        self._told.take(ids if repetition is None else ids[: repetition.shown])
        text = stable_prefix(truncate_at_stop(self._told.stable, self._stop)[0].lstrip(), self._stop)
        text, most = self._without_opening(text, complete=False), self._wording.max_words
        return text if most is None else word_limit.sure(text, most)

    def so_far(self, ids: Sequence[int]) -> str:
        """The text of all the ids, cut before the first stop string and to its words."""
        return self._limited(ids)[0]

    def whole(self, ids: Sequence[int], finish: Finish | None) -> tuple[str, Finish]:
        """The text of a row that has finished, and how it has. One that repeats itself ends behind the second time."""
        repetition = self._repeated(ids)
        if repetition is not None and (finish == "loop" or (finish == "length" and repetition.is_cut_loop)):
            finish, ids = "loop", ids[: repetition.shown]
        text, is_cut = self._limited(ids)
        if is_cut and finish != "loop":
            finish = "length"
        return text.strip(), (finish or "length") if text.strip() else "empty"

    def shown(self, ids: Sequence[int], finish: Finish) -> range:
        """Which of the ids the text of `whole` is made of, the first and the last of them maybe in part."""
        count = self._repetition.shown if self._repetition is not None and finish == "loop" else len(ids)
        text = self._decoded(ids[:count])
        cut, stopped = truncate_at_stop(text, self._stop)
        spaces = len(cut) - len(cut.lstrip())
        opened = self._opening(cut.lstrip(), complete=True) or 0
        first = spaces + opened if opened else 0
        most = self._wording.max_words
        limited = None if most is None else word_limit.cut(cut[spaces + opened :], most)
        # The space before what is cut off may be its token's.
        end = len(cut.rstrip()) if limited is None else spaces + opened + len(limited)
        start = bisect_right(range(count), first, key=lambda some: len(self._decoded(ids[:some]))) - 1 if first else 0
        if not stopped and limited is None:
            return range(start, count)
        return range(start, bisect_left(range(count), end, key=lambda some: len(self._decoded(ids[:some]))))

    def _repeated(self, ids: Sequence[int]) -> Repetition | None:
        if self._repetition is not None:
            self._repetition.take(ids)
        return self._repetition

    def _limited(self, ids: Sequence[int]) -> tuple[str, bool]:
        """The text of all the ids by the wording, and whether it has been cut to its words."""
        text = self._without_opening(truncate_at_stop(self._decoded(ids), self._stop)[0].lstrip(), complete=True)
        most = self._wording.max_words
        limited = None if most is None else word_limit.cut(text, most)
        return (text, False) if limited is None else (limited, True)

    def _has_too_many_words(self, ids: Sequence[int]) -> bool:
        assert self._wording.max_words is not None
        self._watched = self._watched or GrowingText(self._detokenizer, self._before)
        self._watched.take(ids)
        text = self._without_opening(self._watched.stable.lstrip(), complete=False)
        return word_limit.cut(text, self._wording.max_words) is not None

    def _opening(self, text: str, *, complete: bool) -> int | None:
        return openings.opening(text, complete=complete) if self._wording.strip_opening else 0

    def _without_opening(self, text: str, *, complete: bool) -> str:
        """The text behind its opening; nothing while that is not known."""
        length = self._opening(text, complete=complete)
        return "" if length is None else openings.without(text, length)

    def _has_stop(self, ids: Sequence[int]) -> bool:
        self._watched = self._watched or GrowingText(self._detokenizer, self._before)
        self._watched.take(ids)
        begin = self._searched
        self._searched = max(begin, self._watched.settled - max(map(len, self._stop)))
        return any(self._watched.text.find(string, begin) >= 0 for string in self._stop)

    def _decoded(self, ids: Sequence[int]) -> str:
        skipped = len(self._detokenizer.decode(self._before)) if self._before else 0
        return self._detokenizer.decode([*self._before, *ids])[skipped:]
