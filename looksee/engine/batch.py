"""The running batch: the scheduled rows and the model's batch of them, kept in step through every verb and failure.

A failure of one row does not fail the rows beside it (I4):

- rows of a failed prefill are prefilled again one by one; a row that fails alone gets the error;
- a row whose logits are not finite gets an error, the others run on;
- rows of a failed step, sample or join, and those that stay where removing the others fails, are prefilled again one by
  one, with the tokens they already have, and stepped once; a row that fails again gets the error, the others run on;
- when memory runs out, in any verb and in a repair too, the budget is lowered and the rows go back to the queue, which
  refills a smaller batch. A row that runs alone goes back once: what was kept beside it is released by then.

The numbers I1, I2, ... are those of `looksee.engine.engine`. For the device thread alone.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic

from looksee.core import errors
from looksee.engine.budget import BatchBudget
from looksee.engine.observer import EngineObserver
from looksee.engine.row import ScheduledRow
from looksee.models.interface import BatchT, Model, RowT, out_of_memory

logger = logging.getLogger("looksee.engine")

_MOST_ALONE = 2  # times that memory may run out for a row that has the device to itself
_MOST_JOINS = 2  # joins that may fail for one row while failed batches are repaired


class RunningBatch(Generic[RowT, BatchT]):
    """The rows that are decoded now, in `rows`; `rows[i]` is row i of the model's batch (I1).

    `budget` bounds the bytes that they hold together, `most_cost` the sum of their costs. `fail` is called with each
    row that ends with an error, and that error.
    """

    def __init__(
        self,
        model: Model[RowT, BatchT],
        budget: BatchBudget,
        most_cost: int,
        observer: EngineObserver,
        fail: Callable[[ScheduledRow[RowT], Exception], None],
    ) -> None:
        self.model, self.budget, self.most_cost = model, budget, most_cost
        self.observer, self._fail = observer, fail
        self.rows: list[ScheduledRow[RowT]] = []
        self._batch: BatchT | None = None
        self._already_finished: list[ScheduledRow[RowT]] = []  # not in the batch any more, and not answered yet
        self._requeued: list[ScheduledRow[RowT]] = []
        self._use_budget()

    def held(self, rows: Sequence[ScheduledRow[RowT]]) -> int:
        """The bytes that a batch of these rows holds at most, until the last of them has ended."""
        if not rows:
            return 0
        # A row is never free: what costs nothing would be taken again and again after memory ran out.
        return max(len(rows), self.model.held_bytes(len(rows), max(row.model_row.slots for row in rows)))

    def fits(self, new: Sequence[ScheduledRow[RowT]]) -> bool:
        """Whether these rows may be added. An empty batch takes any one: such a row could wait for ever else."""
        rows = [*self.rows, *new]
        if len(rows) == 1:
            return True
        return sum(row.cost for row in rows) <= self.most_cost and self.held(rows) <= self.budget.current

    def admit(self, new: Sequence[ScheduledRow[RowT]]) -> None:
        """Prefill rows and add them to the batch."""
        failure = self._prefill(new)
        if failure is None:
            return
        if out_of_memory(failure):
            self._requeue_after_oom(new, failure)
        elif len(new) == 1:
            self._fail(new[0], failure)
        else:
            logger.warning("a prefill of %d rows failed (%s); retrying them one by one", len(new), failure)
            for index, row in enumerate(new):
                failure = self._prefill([row])
                if failure is None:
                    continue
                if out_of_memory(failure):
                    self._requeue_after_oom(new[index:], failure)
                    return
                self._fail(row, failure)

    def step(self) -> None:
        """Step and sample all rows, which may have finished then."""
        assert self._batch is not None  # rows run only in a batch
        try:
            self.model.step(self._batch)
            self.model.sample(self._batch)
        except Exception as error:
            failure = without_frames(error)
        else:
            if self.budget.recover():
                self._use_budget()
            self.observer.step_finished(len(self.rows))
            for row in self.rows:
                row.count_step(len(self.rows))
                row.shortages_alone = 0
            return
        self._repair(self._dropped(), failure)

    def pop_finished(self) -> list[ScheduledRow[RowT]]:
        """Remove the rows that have finished; returns them. Those that cannot go on get their error."""
        removed: list[ScheduledRow[RowT]] = []
        # Again, since a failing `keep_rows` is repaired by steps, in which further rows may finish.
        while leaving := self.retain(lambda row: not row.has_ended):
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
            failure = without_frames(error)
        else:
            self.rows = kept
            return removed
        del batch
        self._repair(kept, failure, leaving=True)
        return removed

    def clear(self) -> list[ScheduledRow[RowT]]:
        """Drop the batch; returns its rows, and those that `pop_finished` has not returned yet."""
        rows = [*self._already_finished, *self._requeued, *self.rows]
        self.rows, self._batch, self._already_finished, self._requeued = [], None, [], []
        return rows

    def _prefill(self, new: Sequence[ScheduledRow[RowT]]) -> Exception | None:
        """Prefill rows and add them; what the prefill raised. A failed join is repaired."""
        try:
            batch = self.model.prefill([row.model_row for row in new])
        except Exception as error:
            return without_frames(error)
        self.observer.rows_prefilled(len(new))
        try:
            self._batch = batch if self._batch is None else self.model.add_rows(self._batch, batch)
        except Exception as error:
            failure = without_frames(error)
        else:
            self.rows = [*self.rows, *new]
            return None
        del batch
        self._repair([*self._dropped(), *new], failure)
        return None

    def _dropped(self) -> list[ScheduledRow[RowT]]:
        """Drop the batch, which is unusable; returns its rows."""
        rows, self.rows, self._batch = self.rows, [], None
        return rows

    def _repair(self, rows: Sequence[ScheduledRow[RowT]], error: Exception, *, leaving: bool = False) -> None:
        """Go on with the rows of a batch that is unusable after `error`, raised while others were `leaving` it."""
        if out_of_memory(error):
            self._requeue_after_oom(rows, error, leaving=leaving)
        else:
            self._recover(rows, error)

    def _requeue_after_oom(
        self, rows: Sequence[ScheduledRow[RowT]], error: Exception, *, leaving: bool = False
    ) -> None:
        """After memory ran out for `rows` beside the running ones: lower the budget, and have them put back.

        A single row goes back once, and fails the second time, unless others were `leaving` its batch.
        """
        self.observer.out_of_memory()
        try:
            self.model.release_memory()
        except Exception:  # the rows are put back all the same
            logger.exception("memory could not be released")
        running, wanted = self.held(self.rows), self.held([*self.rows, *rows])
        if len(rows) == 1 and not self.rows and not leaving:
            (row,) = rows
            row.shortages_alone += 1
            if row.shortages_alone >= _MOST_ALONE and not row.has_ended:
                logger.warning("memory ran out with a single row")
                self._fail(row, errors.OutOfMemory("The model has not enough memory for this request."))
                return
        else:
            self.budget.lower(min(max(running, wanted // 2), wanted - 1))
            self._use_budget()
        logger.warning("memory ran out at %d bytes (%s); the budget is %d now", wanted, error, self.budget.current)
        self._put_back(rows)

    def _use_budget(self) -> None:
        self.model.set_memory_budget(self.budget.current)
        self.observer.budget_changed(self.budget.current)

    def _put_back(self, rows: Sequence[ScheduledRow[RowT]]) -> None:
        """Have rows put back into the queue, before those that joined later; those that have ended are kept for
        `pop_finished`.
        """
        self._already_finished += [row for row in rows if row.has_ended]
        self._requeued[:0] = [row for row in rows if not row.has_ended]

    def _recover(self, rows: Sequence[ScheduledRow[RowT]], error: Exception) -> None:
        """Prefill and step the rows of a failed batch one by one; those that fail alone get their error."""
        logger.warning("a step of %d rows failed (%s); retrying them one by one", len(rows), error)
        rest = deque(rows)
        while rest:
            row = rest.popleft()
            if row.has_ended:  # by the sample that raised
                self._already_finished.append(row)
                continue
            try:
                batch = self.model.prefill([row.model_row])
                self.model.step(batch)  # the verb that failed must work for this row before it joins the others
                self.model.sample(batch)
            except Exception as own:
                failure = without_frames(own)
                if out_of_memory(failure):
                    self._requeue_after_oom([row, *rest], failure)
                    return
                self._fail(row, failure)
                continue
            row.count_step(1)
            try:
                self._batch = batch if self._batch is None else self.model.add_rows(self._batch, batch)
            except Exception as own:
                failure = without_frames(own)
            else:
                self.rows.append(row)
                continue
            finally:
                del batch
            joined = self._dropped()  # the batch of those that were repaired before is used up
            if out_of_memory(failure):
                self._requeue_after_oom([*joined, row, *rest], failure)
                return
            row.failed_joins += 1
            if row.failed_joins >= _MOST_JOINS and not row.has_ended:
                self._fail(row, failure)
                self._put_back(joined)
            else:
                self._put_back([*joined, row])


def without_frames(error: Exception) -> Exception:
    """The error without the frames of it and of the errors behind it: they may refer to much memory of the verb."""
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        behind.__traceback__ = None
        behind = behind.__cause__ or behind.__context__
    return error
