"""Whether a text repeats itself to its end, by its token ids, told anew with each of them.

A model that has lost its way writes the same few tokens until something stops it. Ids repeat with a period if each
equals the one so many places before. Three things are asked of that:

- The row ends where it has gone on for so long that nothing sensible is still to come: at least `LOOP_TIMES` times the
  same, and at least `LOOP_TOKENS` ids in all. Lists, rows of empty cells and numbers with many zeros are shorter.
- A text that its limit cut loops where it ends in at least `CUT_TIMES` times the same, and `CUT_TOKENS` ids in all.
- What is shown of such a text ends behind the second time, and who listens is told no more than that until another id
  breaks the repetition. So the pieces of a text that is cut are still its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_PERIOD = 64
LOOP_TIMES, LOOP_TOKENS = 16, 128
CUT_TIMES, CUT_TOKENS = 6, 32


class Repetition:
    """Of one row. Each id takes time that does not depend on how many there are: at most that of the longest period."""

    def __init__(self) -> None:
        self._count = 0
        self._matches: dict[int, int] = {}  # by period: how many of the latest ids equal those a period before
        self._places: dict[int, list[int]] = {}  # by id: where it was among the latest ones

    def take(self, ids: Sequence[int]) -> None:
        """Take the ids that `ids`, all of the row, has beyond those taken before."""
        for index in range(self._count, len(ids)):
            places = self._places.setdefault(ids[index], [])
            matches = {}
            for place in reversed(places):
                period = index - place
                if period > LONGEST_PERIOD:
                    break
                matches[period] = self._matches.get(period, 0) + 1
            self._matches = matches
            places.append(index)
            if len(places) > 2 * LONGEST_PERIOD:
                del places[:-LONGEST_PERIOD]
        self._count = len(ids)

    @property
    def is_loop(self) -> bool:
        """Whether nothing but the same is to be expected."""
        return self._repeats(LOOP_TIMES, LOOP_TOKENS)

    @property
    def is_cut_loop(self) -> bool:
        """Whether a text that is cut here was repeating itself."""
        return self._repeats(CUT_TIMES, CUT_TOKENS)

    @property
    def shown(self) -> int:
        """How many of the ids are shown: all, or those up to the end of the second time. It never decreases."""
        count = self._count
        return min((count - found + period for period, found in self._matches.items() if found > period), default=count)

    def _repeats(self, times: int, tokens: int) -> bool:
        return any(found + period >= max(tokens, times * period) for period, found in self._matches.items())
