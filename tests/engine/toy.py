"""A model without weights that spells a word, one letter a step, and can be made to fail in any verb."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from looksee.core import errors
from looksee.core.tasks import Answer, Job, Task
from looksee.models.interface import Row
from looksee.models.texts.detokenize import stable_prefix, truncate_at_stop


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


class AcceleratorError(RuntimeError):
    """Named as torch names its own."""


@dataclass(slots=True, kw_only=True)
class ToyRow(Row):
    """Takes a slot for each letter, and a byte of inputs for each."""

    word: str

    @property
    def slots(self) -> int:
        return len(self.word)

    @property
    def nbytes(self) -> int:
        return len(self.word)


@dataclass
class ToyBatch:
    """Rows, and for each the position of its last token: a batch that lost its order or its rows would misspell."""

    rows: list[ToyRow]
    positions: list[int]


def job(word: str, *, max_new_tokens: int = 50) -> Job:
    return Job(Task.CAPTION, (b"",), word, max_new_tokens)


@dataclass
class ToyModel:
    """`on_prefill` and `on_step` get the words of the batch before the work is done; all hooks may raise or block.

    `prefills` and `steps` have the rows of each that succeeded, `threads` the names of the threads that called verbs.
    """

    delay: float = 0.0
    on_prefill: Callable[[list[str]], None] = lambda words: None
    on_step: Callable[[list[str]], None] = lambda words: None
    on_partial: Callable[[str], None] = lambda word: None
    on_join: Callable[[], None] = lambda: None
    steps: list[int] = field(default_factory=list)
    prefills: list[int] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    budgets: list[int] = field(default_factory=list)
    releases: int = 0

    def prepare(self, job: Job) -> ToyRow:
        if job.prompt == "unreadable":
            raise errors.CorruptImage("The picture is damaged and cannot be read.")
        return ToyRow(
            word=job.prompt,
            cost=len(job.prompt),
            max_new_tokens=job.max_new_tokens,
            prompt_tokens=1,
            stop=job.stop,
        )

    def prefill(self, rows: Sequence[ToyRow]) -> ToyBatch:
        self._note_thread()
        self.on_prefill([row.word for row in rows])
        self.prefills.append(len(rows))
        return ToyBatch(list(rows), [len(row.tokens) - 1 for row in rows])

    def add_rows(self, running: ToyBatch, newcomers: ToyBatch) -> ToyBatch:
        self._note_thread()
        self.on_join()
        return ToyBatch(running.rows + newcomers.rows, running.positions + newcomers.positions)

    def step(self, batch: ToyBatch) -> None:
        self._note_thread()
        time.sleep(self.delay)
        self.on_step([row.word for row in batch.rows])
        self.steps.append(len(batch.rows))
        batch.positions = [position + 1 for position in batch.positions]

    def keep_rows(self, batch: ToyBatch, keep: Sequence[int]) -> ToyBatch:
        self._note_thread()
        return ToyBatch([batch.rows[index] for index in keep], [batch.positions[index] for index in keep])

    def sample(self, batch: ToyBatch) -> None:
        self._note_thread()
        for row, position in zip(batch.rows, batch.positions, strict=True):
            row.tokens.append(ord(row.word[position]))
            if position + 1 == len(row.word) or truncate_at_stop("".join(map(chr, row.tokens)), row.stop)[1]:
                row.finish = "stop"
            elif len(row.tokens) >= row.max_new_tokens:
                row.finish = "length"

    def partial(self, row: ToyRow) -> str:
        self.on_partial(row.word)
        return stable_prefix(self.text(row), row.stop)

    def reuse(self) -> dict[str, tuple[int, int]]:
        return {}

    def held_bytes(self, rows: int, slots: int) -> int:
        return rows * slots

    def set_memory_budget(self, nbytes: int) -> None:
        self.budgets.append(nbytes)

    def release_memory(self) -> None:
        self._note_thread()
        self.releases += 1

    def text(self, row: ToyRow) -> str:
        return truncate_at_stop("".join(map(chr, row.tokens)), row.stop)[0]

    def answer(self, row: ToyRow) -> Answer:
        return Answer(self.text(row), row.finish or "length", row.prompt_tokens, len(row.tokens))

    def _note_thread(self) -> None:
        self.threads.add(threading.current_thread().name)
