"""The running batch: the scheduled rows and the model's batch of them, kept in step through every verb and failure.

A failure of one row does not fail the rows beside it (I4):

- rows of a failed prefill are prefilled again one by one; a row that fails alone gets the error;
- a row whose logits are not finite gets an error, the others run on;
- rows of a failed step, sample or join, and those that stay where removing the others fails, are prefilled again one by
  one, with the tokens they already have, and stepped once; a row that fails again gets the error, the others run on;
- when memory runs out the budget is lowered and the rows go back to the queue, which refills a smaller batch.

The numbers I1, I2, ... are those of `looksee.engine.engine`. For the device thread alone.
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
    """The rows that are decoded now, in `rows`; `rows[i]` is row i of the model's batch (I1).

    `fail` is called with each row that ends with an error, and that error.
    """

    def __init__(
        self,
        model: Model[RowT, BatchT],
        budget: BatchBudget,
        observer: EngineObserver,
        fail: Callable[[ScheduledRow[RowT], Exception], None],
    ) -> None:
        self.model, self.budget, self.observer, self._fail = model, budget, observer, fail
        self.rows: list[ScheduledRow[RowT]] = []
        self._batch: BatchT | None = None
        self._already_finished: list[ScheduledRow[RowT]] = []  # by a sample that raised after their last token
        self._requeued: list[ScheduledRow[RowT]] = []

    @property
    def cost(self) -> int:
        """The cost of all rows, in the unit of `Row.cost`."""
        return sum(row.cost for row in self.rows)

    def fits(self, new: Sequence[ScheduledRow[RowT]]) -> bool:
        """Whether these rows may be added. An empty batch takes any one: such a row could wait for ever else."""
        return len(self.rows) + len(new) == 1 or self.cost + sum(row.cost for row in new) <= self.budget.current

    def admit(self, new: list[ScheduledRow[RowT]]) -> None:
        """Prefill rows and add them to the batch."""
        try:
            batch = self.model.prefill([row.model_row for row in new])
        except Exception as error:
            failure = error.with_traceback(None)  # its frames may refer to much memory of the failed prefill
        else:
            self.observer.rows_prefilled(len(new))
            self._add(new, batch)
            return
        if out_of_memory(failure):
            self._requeue_after_oom(new, failure)
        elif len(new) == 1:
            self._fail(new[0], failure)
        else:
            logger.warning("a prefill of %d rows failed (%s); retrying them one by one", len(new), failure)
            for row in new:
                self.admit([row])

    def step(self) -> None:
        """Step and sample all rows, which may have finished then."""
        assert self._batch is not None  # rows run only in a batch
        try:
            self.model.step(self._batch)
            self.model.sample(self._batch)
        except Exception as error:
            failure = error.with_traceback(None)
        else:
            self.budget.recover()
            self.observer.step_finished(len(self.rows))
            for row in self.rows:
                row.count_step(len(self.rows))
            return
        rows, self.rows, self._batch = self.rows, [], None
        self._repair(rows, failure)

    def pop_finished(self) -> list[ScheduledRow[RowT]]:
        """Remove the rows that have finished; returns them. Those that cannot go on get their error."""
        removed: list[ScheduledRow[RowT]] = []
        # Again, since a failing `keep_rows` is repaired by steps, in which further rows may finish.
        while leaving := self.retain(lambda row: row.model_row.finish is None and row.model_row.error is None):
            removed += leaving
        before, self._already_finished = self._already_finished, []
        finished = []
        for row in before + removed:
            if (error := row.model_row.error) is None:
                finished.append(row)
            else:
                row.context.run(logger.error, "a row failed: %s", error)
                self._fail(row, error)
        return finished

    def take_requeued(self) -> list[ScheduledRow[RowT]]:
        """The rows for which memory ran out since the last call; they are to be put back into the queue."""
        requeued, self._requeued = self._requeued, []
        return requeued

    def retain(self, wanted: Callable[[ScheduledRow[RowT]], bool]) -> list[ScheduledRow[RowT]]:
        """Remove the rows that are not `wanted`; returns them."""
        keep = [index for index, row in enumerate(self.rows) if wanted(row)]
        if len(keep) == len(self.rows):
            return []
        kept, staying = [self.rows[index] for index in keep], set(keep)
        removed = [row for index, row in enumerate(self.rows) if index not in staying]
        batch, self._batch, self.rows = self._batch, None, []
        if not kept or batch is None:
            return removed
        try:
            self._batch = self.model.keep_rows(batch, keep)
        except Exception as error:
            failure = error.with_traceback(None)
        else:
            self.rows = kept
            return removed
        del batch
        if out_of_memory(failure):
            self._requeue_after_oom(kept, failure, leaving=True)
        else:
            self._recover(kept, failure)
        return removed

    def clear(self) -> list[ScheduledRow[RowT]]:
        """Drop the batch; returns its rows, and those that `pop_finished` has not returned yet."""
        rows = [*self._already_finished, *self._requeued, *self.rows]
        self.rows, self._batch, self._already_finished, self._requeued = [], None, [], []
        return rows

    def _add(self, new: Sequence[ScheduledRow[RowT]], batch: BatchT) -> None:
        """Add prefilled rows, whose batch is `batch`."""
        try:
            self._batch = batch if self._batch is None else self.model.add_rows(self._batch, batch)
        except Exception as error:
            failure = error.with_traceback(None)
        else:
            self.rows = [*self.rows, *new]
            return
        del batch
        rows = [*self.rows, *new]
        self.rows, self._batch = [], None
        self._repair(rows, failure)

    def _repair(self, rows: list[ScheduledRow[RowT]], error: Exception) -> None:
        """Go on with the rows of a batch that is unusable after `error`."""
        if out_of_memory(error):
            self._requeue_after_oom(rows, error)
        else:
            self._recover(rows, error)

    def _requeue_after_oom(self, rows: list[ScheduledRow[RowT]], error: Exception, *, leaving: bool = False) -> None:
        """After memory ran out for `rows` beside the running ones: lower the budget, and have them put back.

        A single row fails, unless memory ran out while others were `leaving` its batch.
        """
        self.observer.out_of_memory()
        self.model.release_memory()
        if len(rows) == 1 and not self.rows and not leaving:
            logger.warning("memory ran out with a single row")
            self._fail(rows[0], errors.OutOfMemory("The model has not enough memory for this request."))
            return
        cost = self.cost + sum(row.cost for row in rows)
        self.budget.lower(max(self.cost, cost // 2))
        logger.warning("memory ran out at a cost of %d (%s); the budget is %d now", cost, error, self.budget.current)
        self._requeued[:0] = rows  # before those that joined later

    def _recover(self, rows: Sequence[ScheduledRow[RowT]], error: Exception) -> None:
        """Prefill and step the rows of a failed batch one by one; those that fail alone get their error."""
        logger.warning("a step of %d rows failed (%s); retrying them one by one", len(rows), error)
        for row in rows:
            if row.model_row.finish is not None:  # sample had finished this row before it raised
                self._already_finished.append(row)
                continue
            try:
                batch = self.model.prefill([row.model_row])
                self.model.step(batch)  # the verb that failed must work for this row before it joins the others
                self.model.sample(batch)
                if row.model_row.error is not None:
                    raise row.model_row.error
                self._batch = batch if self._batch is None else self.model.add_rows(self._batch, batch)
            except Exception as own:
                self._fail(row, own)
            else:
                self.rows.append(row)
