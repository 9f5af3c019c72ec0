"""The running batch: rows and the model's batch of them, kept alike through prefills, steps, departures and failures.

A failure never takes its neighbours along:

- rows of a failed prefill are prefilled one by one; the one that fails alone gets the error;
- rows of a failed step or join are prefilled again, alone, with the tokens they already have, and stepped once; the one
  that fails again gets the error, the others run on;
- when memory runs out the batch's cap is lowered and its rows go back to the queue, which refills a smaller batch.

Lives on the engine's device thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Generic

from looksee.core import errors
from looksee.engine.budget import BatchBudget
from looksee.engine.observer import EngineObserver
from looksee.engine.row import ScheduledRow
from looksee.models.interface import BatchT, Model, RowT, out_of_memory

logger = logging.getLogger("looksee.engine")


class RunningBatch(Generic[RowT, BatchT]):
    """`fail` is told of each entry that ends with an error."""

    def __init__(
        self,
        model: Model[RowT, BatchT],
        cap: BatchBudget,
        observer: EngineObserver,
        fail: Callable[[ScheduledRow[RowT], Exception], None],
    ) -> None:
        self.model, self.cap, self.observer, self._fail = model, cap, observer, fail
        self.entries: list[ScheduledRow[RowT]] = []
        self._batch: BatchT | None = None
        self._ended_before: list[ScheduledRow[RowT]] = []  # in a step that failed after their last token

    @property
    def cost(self) -> int:
        return sum(entry.ready_row.cost for entry in self.entries)

    def fits(self, cost: int) -> bool:
        """Whether a row of this cost may join. A batch without rows takes any: else it could wait for ever."""
        return not self.entries or self.cost + cost <= self.cap.now

    def admit(self, newcomers: list[ScheduledRow[RowT]]) -> list[ScheduledRow[RowT]]:
        """Prefill newcomers and let them join; returns those that go back to the queue."""
        try:
            batch = self.model.prefill([entry.ready_row for entry in newcomers])
        except Exception as error:
            failure = error.with_traceback(None)  # what it holds of a failed prefill may be much of the memory
        else:
            self.observer.prefilled(len(newcomers))
            return self._joined(newcomers, batch)
        if out_of_memory(failure):
            return self._requeue_after_oom(newcomers, failure)
        if len(newcomers) == 1:
            self._fail(newcomers[0], failure)
            return []
        logger.warning("a prefill of %d rows failed (%s); retrying them one by one", len(newcomers), failure)
        return [back for entry in newcomers for back in self.admit([entry])]

    def step(self) -> list[ScheduledRow[RowT]]:
        """One step of all rows; returns those that go back to the queue. Rows that ended wait for `pop_finished`."""
        assert self._batch is not None  # rows run only in a batch
        try:
            self.model.step(self._batch)
            self.model.sample(self._batch)
        except Exception as error:
            failure = error.with_traceback(None)
        else:
            self.cap.recover()
            self.observer.stepped(len(self.entries))
            for entry in self.entries:
                entry.stepped(len(self.entries))
            return []
        entries, self.entries, self._batch = self.entries, [], None
        if out_of_memory(failure):
            return self._requeue_after_oom(entries, failure)
        self._recover(entries, failure)
        return []

    def pop_finished(self) -> list[ScheduledRow[RowT]]:
        """Let the rows that ended leave; returns them."""
        before, self._ended_before = self._ended_before, []
        return before + self.keep(lambda entry: entry.ready_row.finish is None)

    def keep(self, wanted: Callable[[ScheduledRow[RowT]], bool]) -> list[ScheduledRow[RowT]]:
        """Let the rows leave that are not wanted; returns them."""
        keep = [index for index, entry in enumerate(self.entries) if wanted(entry)]
        if len(keep) == len(self.entries):
            return []
        gone = [entry for index, entry in enumerate(self.entries) if index not in set(keep)]
        self._batch = self.model.keep_rows(self._batch, keep) if keep and self._batch is not None else None
        self.entries = [self.entries[index] for index in keep]
        return gone

    def clear(self) -> list[ScheduledRow[RowT]]:
        """Drop the batch; returns the entries it had."""
        entries, self.entries, self._batch = self.entries, [], None
        return entries

    def _joined(self, entries: Sequence[ScheduledRow[RowT]], batch: BatchT) -> list[ScheduledRow[RowT]]:
        try:
            self._batch = batch if self._batch is None else self.model.add_rows(self._batch, batch)
        except Exception as error:
            failure = error.with_traceback(None)
        else:
            self.entries = [*self.entries, *entries]
            return []
        del batch
        everybody = [*self.clear(), *entries]
        if out_of_memory(failure):
            return self._requeue_after_oom(everybody, failure)
        self._recover(everybody, failure)
        return []

    def _requeue_after_oom(self, entries: list[ScheduledRow[RowT]], error: Exception) -> list[ScheduledRow[RowT]]:
        """After memory ran out with these rows beside the running ones: a lower cap, and the rows wait for room."""
        self.observer.out_of_memory()
        self.model.release_memory()
        if len(entries) == 1 and not self.entries:
            logger.warning("memory ran out with a single row")
            self._fail(entries[0], errors.OutOfMemory("The model has not enough memory for this request."))
            return []
        cost = self.cost + sum(entry.ready_row.cost for entry in entries)
        self.cap.lower(max(self.cost, cost // 2))
        logger.warning("memory ran out at a cost of %d (%s); the cap is %d now", cost, error, self.cap.now)
        return entries

    def _recover(self, entries: Sequence[ScheduledRow[RowT]], error: Exception) -> None:
        logger.warning("a step of %d rows failed (%s); retrying them one by one", len(entries), error)
        for entry in entries:
            if entry.ready_row.finish is not None:  # the read-out failed after this row
                self._ended_before.append(entry)
                continue
            try:
                batch = self.model.prefill([entry.ready_row])
                self.model.step(batch)  # the verb that failed must work for this row before others join it
                self.model.sample(batch)
                self._batch = batch if self._batch is None else self.model.add_rows(self._batch, batch)
            except Exception as own:
                self._fail(entry, own)
            else:
                self.entries.append(entry)
