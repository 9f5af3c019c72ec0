"""What decoding in place can do wrong without any error: each mistake is made on purpose and must show.

The check is the one of the identity tests: rows in a mix say what the library says about each alone. A mistake that it
did not see could be in the code today.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from looksee.models.core import masks
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.graphs import NoGraphs
from looksee.models.core.passes import Extension, Pass, Window
from looksee.models.core.step_runner import StepRunner
from looksee.models.core.storage import KVStorage
from looksee.models.decoders import opt
from looksee.models.transformers.gemma import Gemma
from tests.models.core.cases import NAMES, Mixed, mixed
from tests.models.library import MODELS

Mistake = Callable[[pytest.MonkeyPatch, Any], None]


def start_of(patch: pytest.MonkeyPatch, model: Any, change: Callable[[Tensor], Tensor]) -> None:
    """Let the model's decoder take other positions than the slots are."""
    kind = type(model.net.text if hasattr(model.net, "text") else model.decoder)
    original = kind.start

    def start(self: Any, embeddings: Tensor, run: Pass) -> Tensor:
        run.positions, kept = change(run.positions), run.positions
        x: Tensor = original(self, embeddings, run)
        run.positions = kept
        return x

    patch.setattr(kind, "start", start)


def no_positions(patch: pytest.MonkeyPatch, model: Any) -> None:
    start_of(patch, model, torch.zeros_like)


def steps_one_further(patch: pytest.MonkeyPatch, model: Any) -> None:
    """As where a step counts the token that a prompt left for it twice. Rotations alone would not show in prompts."""
    start_of(patch, model, lambda positions: positions + (positions.shape[1] == 1))


def positions_of_the_longest(patch: pytest.MonkeyPatch, model: Any) -> None:
    """As where a batch has one length for all of its rows."""
    original = StepRunner.step

    def step(self: StepRunner, cache: BatchCache, embeddings: Tensor, positions: Sequence[int]) -> Tensor:
        return original(self, cache, embeddings, [max(positions)] * len(positions))

    patch.setattr(StepRunner, "step", step)


def everything_seen(patch: pytest.MonkeyPatch, model: Any) -> None:
    """Slots behind a row's end are seen, whatever an earlier row left there."""
    original = masks.causal

    def causal(positions: Tensor, length: int, window: int | None = None) -> Tensor:
        return torch.ones_like(original(positions, length, window))

    patch.setattr(masks, "causal", causal)


def never_zeroed(patch: pytest.MonkeyPatch, model: Any) -> None:
    """Rows are taken with a NaN in every slot, as an earlier row can leave them."""
    original = KVStorage.take

    def take(self: KVStorage, batch: BatchCache, rows: int, length: int) -> int:
        first = original(self, batch, rows, length)
        for layer in self.layers:
            layer[first : first + rows] = torch.nan
        return first

    patch.setattr(KVStorage, "take", take)


def rows_not_moved(patch: pytest.MonkeyPatch, model: Any) -> None:
    patch.setattr(BatchCache, "_copy", lambda self, sources, targets: None)


def rows_not_ordered(patch: pytest.MonkeyPatch, model: Any) -> None:
    patch.setattr(BatchCache, "in_storage_order", lambda self, values: list(values))


EVERYWHERE: dict[str, Mistake] = {
    made.__name__: made
    for made in (
        no_positions,
        steps_one_further,
        positions_of_the_longest,
        everything_seen,
        never_zeroed,
        rows_not_moved,
        rows_not_ordered,
    )
}


def window_lost(patch: pytest.MonkeyPatch, model: Any) -> None:
    for block in model.decoder.blocks:
        patch.setattr(block, "window", None)


def window_lost_in_prompts(patch: pytest.MonkeyPatch, model: Any) -> None:
    original = Gemma.prompt_mask

    def prompt_mask(self: Gemma, is_image: Tensor) -> Callable[[Window], Tensor]:
        mask = original(self, is_image)
        return lambda window: mask(None)

    patch.setattr(Gemma, "prompt_mask", prompt_mask)


def window_lost_in_steps(patch: pytest.MonkeyPatch, model: Any) -> None:
    original = Extension._additive
    patch.setattr(Extension, "_additive", lambda self, window: original(self, None))


def images_read_from_left_to_right(patch: pytest.MonkeyPatch, model: Any) -> None:
    patch.setattr(masks, "same_image", lambda is_image: torch.zeros(*is_image.shape, is_image.shape[1]).bool())


def offset_twice(patch: pytest.MonkeyPatch, model: Any) -> None:
    patch.setattr(opt, "_POSITION_OFFSET", 2 * opt._POSITION_OFFSET)


OF_ONE: list[tuple[str, Mistake]] = [
    ("gemma", window_lost),
    ("gemma", window_lost_in_prompts),
    ("gemma", window_lost_in_steps),
    ("gemma", images_read_from_left_to_right),
    ("blip2", offset_twice),
]
ALL = [(name, mistake) for name in NAMES for mistake in EVERYWHERE.values()] + OF_ONE


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=[f"{name}-{mistake.__name__}" for name, mistake in ALL])
def test_a_mistake_shows(name: str, mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    case = mixed(name)
    assert unspoilt(name) == 0
    with monkeypatch.context() as patch:
        mistake(patch, case.model)
        assert case.wrong() > 0


@functools.cache
def unspoilt(name: str) -> int:
    return mixed(name).wrong()


@pytest.mark.parametrize("name", NAMES)
def test_what_earlier_rows_left_is_not_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = mixed(name)
    storage = case.use(monkeypatch, NoGraphs()).storage  # which does not shrink
    assert case.wrong() == 0
    with torch.inference_mode():
        for layer in (*storage.layers, *storage.cross):
            layer.fill_(torch.nan)
    assert case.wrong() == 0


@pytest.mark.parametrize("name", NAMES)
def test_no_query_is_left_without_a_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of padding either: a kernel may make a NaN of it, which would spread from the padding's slots."""
    case, seen = mixed(name), []
    original = masks.additive

    def additive(attended: Tensor, dtype: torch.dtype) -> Tensor:
        seen.append(bool(attended.any(-1).all()))
        return original(attended, dtype)

    monkeypatch.setattr(masks, "additive", additive)
    case.use(monkeypatch, NoGraphs())
    assert case.wrong() == 0
    assert seen
    assert all(seen)


def wrong_at_the_end(case: Mixed, batch: Any, rows: list[Any]) -> int:
    """How many rows say something else than alone once the last has ended; those that ended are stepped on."""
    while any(row.finish is None for row in rows):
        case.model.step(batch)
        case.model.sample(batch)
    return sum(row.tokens[: len(tokens)] != tokens for row, tokens in zip(rows, case.tokens, strict=False))


def beyond_their_limits(case: Mixed) -> int:
    """How many rows say something else than alone where ended ones are stepped on until the last has ended."""
    rows = [fresh() for fresh in case.fresh[:6]]
    batch = case.model.prefill(rows)
    return wrong_at_the_end(case, batch, rows)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_stepped_beyond_its_limit_harms_nobody(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it write past its slots: where storage did not grow for it, the step would fail."""
    case = mixed(name)
    runner = case.use(monkeypatch, None, growth=1)
    assert beyond_their_limits(case) == 0
    runner.release()
    with monkeypatch.context() as patch:
        patch.setattr(BatchCache, "grow", lambda self, length: None)
        with pytest.raises(IndexError):
            beyond_their_limits(case)


def beside_newcomers(case: Mixed) -> int:
    """How many rows say something else than alone where newcomers wait behind a batch that is stepped, padded."""
    rows = [fresh() for fresh in case.fresh[:8]]
    batch, newcomers = case.model.prefill(rows[:5]), case.model.prefill(rows[5:])
    case.model.step(batch)
    case.model.sample(batch)
    batch = case.model.add_rows(batch, newcomers)
    return wrong_at_the_end(case, batch, rows)


@pytest.mark.parametrize("name", MODELS)
def test_padding_writes_to_free_rows_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows are padded to eight, of which the newcomers have three: padding would be written to their slot 0."""
    case = mixed(name)
    case.use(monkeypatch, NoGraphs())
    assert beside_newcomers(case) == 0
    with monkeypatch.context() as patch:
        patch.setattr(KVStorage, "is_free", lambda self, first, end, but: True)
        assert beside_newcomers(case) > 0
