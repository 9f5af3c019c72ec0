"""When newcomers join the running rows: at once, or a few steps later with more company.

A prefill holds up every running row, and much of what it costs is the same for one newcomer as for several. So
newcomers wait until their waiting, in rows times steps, has cost as much as holding up the running rows for about a
step would: one beside one waits a step, two a step beside twenty gather to eight. Who comes to an idle model never
waits.
"""

from __future__ import annotations

_LONGEST = 8  # steps that a newcomer waits at most


class PrefillPolicy:
    """Counts what waiting has cost since newcomers were last let in. Asked once before each step."""

    def __init__(self) -> None:
        self._row_steps = 0
        self._steps = 0

    def should_defer(self, newcomers: int, room: int, running: int) -> bool:
        """Whether `newcomers` should wait for another step, where there is `room` for so many beside `running` rows."""
        if newcomers and newcomers < room and self._row_steps < running and self._steps < _LONGEST:
            self._row_steps += newcomers
            self._steps += 1
            return True
        self._row_steps = self._steps = 0
        return False
