"""What the engine needs of a model: jobs are prepared one by one, then five verbs work on a changing batch.

    prefill     new rows become a batch of their own: all tokens of theirs are computed but the last one
    add_rows    that batch joins the running one
    step        every row is fed its last token: new logits for all
    sample      every row gets its next token from its logits, and finishes maybe
    keep_rows   the rows that go on stay, the others leave the batch

A new row's first token comes from the same step as the next token of every running row, so joining costs no extra step.

Order. A batch has its rows in one order. Every verb keeps it: `add_rows` puts the new rows behind the running ones,
`keep_rows` removes rows from between the others.

Threads. One thread at a time calls the five verbs and `release_memory`; the engine has one device thread for them.
`prepare` is called from several other threads at once. `text`, `partial` and `answer` read one row, in any thread but
never while a verb works on that row.

Ownership. A batch belongs to the model: the engine looks at its rows alone. A batch that is passed to `add_rows` or
`keep_rows` is used up; what they return takes its place.

Exceptions. After a verb has raised, the batches that were passed to it are unusable and are dropped. Its rows stay
usable: they may be prefilled again, into another batch, and go on after the tokens they have. A `sample` that raises
may have given some rows their token, or their finish, and others not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from looksee.core import errors
from looksee.core.tasks import GREEDY, Answer, Finish, Job, Sampling
from looksee.core.texts import AS_WRITTEN, Wording
from looksee.models.grammar.given import GivenText
from looksee.models.grammar.matcher import Matcher


@dataclass(slots=True, kw_only=True)
class Row:
    """One job as a row of a batch. Models subclass it with their inputs.

    `cost`: what the row's pictures take of a batch, at least 0, in the model's own unit: picture tokens, for InternVL
    tiles. `max_new_tokens` bounds `tokens`, the ids sampled so far; `prompt_tokens` counts the decoder's input, picture
    tokens included. `seed` is the row's own also where the caller gave none. `stop`: strings, the first of which to
    appear ends the text. `wording`: what else it is cut to. `matcher` has the grammar of a text that is forced into a
    form. `finish` is None until the row has finished, and `error` unless it cannot go on, alone of its batch. `scores`
    has what a model keeps of each token's probability, in the order of `tokens` and maybe some more, where
    `sampling.logprobs` asks for it.
    """

    cost: int
    max_new_tokens: int
    prompt_tokens: int
    sampling: Sampling = GREEDY
    seed: int = 0
    stop: tuple[str, ...] = ()
    wording: Wording = AS_WRITTEN
    matcher: Matcher | GivenText | None = None
    tokens: list[int] = field(default_factory=list)
    scores: list[Any] = field(default_factory=list)
    finish: Finish | None = None
    error: errors.LookseeError | None = None

    @property
    def forced(self) -> list[int] | None:
        """The tokens so far of what is forced into a form; None where the next token may be any."""
        return None if self.matcher is None else self.tokens

    @property
    def is_over(self) -> bool:
        """Whether nothing may follow what is forced into a form."""
        return self.matcher is not None and self.forced is not None and self.matcher.is_over(self.forced)

    @property
    def slots(self) -> int:
        """The positions of keys and values that the row needs at most, known before its prefill."""
        return self.prompt_tokens + self.max_new_tokens

    @property
    def nbytes(self) -> int:
        """The bytes of its inputs: pixels, or what was made of them."""
        return 0


RowT = TypeVar("RowT", bound=Row)
BatchT = TypeVar("BatchT")

# In lower case, of the texts of errors that have no class of their own.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate",
    "cannot allocate memory",
    "status_alloc_failed",
    "bad alloc",
    "bad_alloc",
)


class Model(Protocol[RowT, BatchT]):
    """A loaded model. The rules that hold for all methods are in the docstring of this module."""

    def prepare(self, job: Job) -> RowT:
        """A row for one job: its pictures decoded and preprocessed, its prompt tokenised, alone and without padding.

        Any thread, several at once; must not depend on the running batch. Raises a `LookseeError` that names what is
        wrong with the job (CorruptImage, PromptTooLong and so on); any other exception is a fault of the model.
        """
        ...

    def prefill(self, rows: Sequence[RowT]) -> BatchT:
        """A new batch of one or more rows, in their order. No running batch is touched.

        Computes the keys and values of each row's prompt and `tokens` but for the last token of these together, which
        the next `step` feeds. Rows with tokens are those of a failed batch or put back after memory ran out. May
        replace a row's pixels by their encoding; changes neither `tokens` nor `finish`.
        """
        ...

    def add_rows(self, running: BatchT, newcomers: BatchT) -> BatchT:
        """One batch of the rows of `running`, then those of `newcomers`. Uses both up; changes no row.

        There are no logits until the next `step`.
        """
        ...

    def step(self, batch: BatchT) -> None:
        """Feed every row its last token, of `tokens` or where it has none of its prompt, and compute its logits.

        Changes the batch in place: each row holds one position more. Changes no row.
        """
        ...

    def sample(self, batch: BatchT) -> None:
        """Append to each row's `tokens` the token chosen from the logits of the `step` just done; set its `finish` if
        that ends it. A row whose logits are not finite gets an `error` instead: no token of theirs means anything.

        A model may give rows the tokens of a step one call later, so that it can launch the next step before it knows
        them. What it has not given yet goes with the batch: its rows are prefilled with the tokens they have.

        A row's choice depends on its own logits, `sampling`, `seed` and number of tokens alone, so it is the same
        beside other rows and after another prefill. Once for each step.
        """
        ...

    def keep_rows(self, batch: BatchT, keep: Sequence[int]) -> BatchT:
        """A batch of the rows with the indices `keep`: at least one, ascending, each once. Uses `batch` up.

        Changes no row. Memory that only the removed rows needed is freed, or is free for further rows. There are
        no logits until the next `step`.
        """
        ...

    def held_bytes(self, rows: int, slots: int) -> int:
        """The bytes that a batch holds on the device while it has so many rows, the longest of `slots` positions.

        Any thread. Without what a verb needs while it runs.
        """
        ...

    def set_memory_budget(self, nbytes: int) -> None:
        """Hold no more than `nbytes` for batches that need less. On the device thread, or before there is one."""
        ...

    def release_memory(self) -> None:
        """Free what no row needs: kept encodings of pictures, cached blocks of the device's allocator.

        Called after memory ran out, on the device thread; a running batch may exist and stays usable.
        """
        ...

    def reuse(self) -> Mapping[str, tuple[int, int]]:
        """How many `pictures` had a kept encoding, and how many had to be encoded, since the model was loaded.

        Likewise `prefixes`: how many rows began with kept keys and values, and how many did not. Any thread; without
        the name of what a model does not keep.
        """
        ...

    def text(self, row: RowT) -> str:
        """The text of the row's tokens so far, cut before the first stop string."""
        ...

    def partial(self, row: RowT) -> str:
        """The part of an unfinished row's text that no further token can change: what may be streamed now.

        Each result begins with the one before, and the text of `answer` begins with the last one.
        """
        ...

    def answer(self, row: RowT) -> Answer:
        """The answer of a finished row. Changes nothing."""
        ...


def not_finite() -> errors.LookseeError:
    """The error of a row whose logits are not finite."""
    return errors.RunnerFailed("The model computed no answer to this request: its logits are not finite.")


def out_of_memory(error: Exception) -> bool:
    """Whether a verb failed because memory ran out, on a device or in the machine; known without torch.

    By the names that torch, cuBLAS, MPS and allocators have for it, also where another error hides it: a capture that
    runs out of memory says that it was invalidated.
    """
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        text = str(error).lower()
        if (
            isinstance(error, MemoryError)
            or type(error).__name__ == "OutOfMemoryError"
            or any(name in text for name in _OUT_OF_MEMORY)
        ):
            return True
        hidden = error.__cause__ or error.__context__
        if not isinstance(hidden, Exception):
            return False
        error = hidden
    return False
