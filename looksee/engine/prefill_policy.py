"""When waiting rows are prefilled: before the next step, or some steps later, together with further rows.

A prefill delays every running row by about the time of a step, and most of its cost is the same for one row as for
several. So waiting rows are deferred until

    sum over the deferred steps of (rows waiting in that step) >= running rows

that is, until their waiting has cost as many row-steps as a prefill costs the running rows; at most 8 steps. One row
beside one running row is deferred one step. Where two rows arrive at every step beside twenty running ones, eight are
prefilled together. Rows are never deferred when nothing runs, or when as many wait as can be taken.
"""

from __future__ import annotations

_MAX_DEFERRED_STEPS = 8


class PrefillPolicy:
    """Counts the row-steps of waiting since the last prefill. Ask it once before each step."""

    def __init__(self) -> None:
        self._row_steps = 0
        self._steps = 0

    def should_defer(self, waiting: int, free: int, running: int) -> bool:
        """Whether the `waiting` rows should wait another step.

        `free` is how many rows the next prefill may take at most, `running` the size of the running batch; all in rows.
        """
        if waiting and waiting < free and self._row_steps < running and self._steps < _MAX_DEFERRED_STEPS:
            self._row_steps += waiting
            self._steps += 1
            return True
        self._row_steps = self._steps = 0
        return False
