"""The protocol of a model that decodes a changing batch: prepare a row alone, then five verbs on the batch.

    prefill   new rows become a batch of their own: all of their prompt is computed but its last token
    join      a batch of newcomers joins the running batch
    step      every row is fed its latest token (a newcomer its prompt's last); new logits
    leave     only the kept rows stay
    read out  each row's logits become its next token, and maybe its end

A newcomer's first token comes from the same step as everybody's next one, so joining costs no step of its own. The
engine calls the verbs from one thread. `prepare` and `outcome` may be called from any thread. Rows keep their order;
the batch is the model's own affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from looksee.core.tasks import GREEDY, Answer, Finish, Job, Sampling


@dataclass(slots=True, kw_only=True)
class Row:
    """One job on its way through a batch.

    `tokens` grows by one at each read-out. A row that is prefilled again goes on after the tokens it already has, which
    is how rows survive a failed step. `cost` is in the unit of the model's batch limit: picture tokens, or tiles.
    """

    cost: int
    max_new_tokens: int
    prompt_tokens: int
    sampling: Sampling = GREEDY
    seed: int = 0
    stop: tuple[str, ...] = ()
    tokens: list[int] = field(default_factory=list)
    finish: Finish | None = None


RowT = TypeVar("RowT", bound=Row)
BatchT = TypeVar("BatchT")


class Model(Protocol[RowT, BatchT]):
    """What the engine needs of a model."""

    def prepare(self, job: Job) -> RowT:
        """Decode and preprocess one job, alone and unpadded.

        Raises `LookseeError`s that name what is wrong with the job.
        """
        ...

    def prefill(self, rows: Sequence[RowT]) -> BatchT: ...

    def add_rows(self, running: BatchT, newcomers: BatchT) -> BatchT: ...

    def step(self, batch: BatchT) -> None: ...

    def keep_rows(self, batch: BatchT, keep: Sequence[int]) -> BatchT: ...

    def sample(self, batch: BatchT) -> None:
        """Give every row of the batch its next token, or set its `finish`."""
        ...

    def release_memory(self) -> None:
        """Give back what no row needs; called after memory ran out."""
        ...

    def reuse(self) -> tuple[int, int]:
        """Of all pictures so far, those whose encoding was still at hand, and those that had to be encoded."""
        ...

    def text(self, row: RowT) -> str:
        """What the row's tokens say so far, before its first stop string."""
        ...

    def partial(self, row: RowT) -> str:
        """The part of an unfinished row's text that stays, whatever comes next: what can be told already."""
        ...

    def answer(self, row: RowT) -> Answer:
        """The finished row's answer."""
        ...


def out_of_memory(error: Exception) -> bool:
    """Whether a verb failed because memory ran out, on a GPU or in the machine; known by name, without torch."""
    return (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in str(error)
    )
