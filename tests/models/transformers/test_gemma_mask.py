"""Gemma's prompt masks: the library's, made without it, and no padded position that attends to nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, Gemma3TextConfig
from transformers.models.gemma3 import modeling_gemma3 as library

from looksee.core.tasks import Job, Task
from looksee.models.core import masks
from looksee.models.loading import load
from looksee.models.transformers.decoder import padded
from tests.models.checkpoints import SLIDING_WINDOW, write_random
from tests.models.library import LibraryAlone
from tests.models.mixing import decode_mixed
from tests.models.transformers.test_identity import picture

PICTURE = 9
KINDS = ("full_attention", "sliding_attention")


def drawn(seen: Tensor) -> list[str]:
    """(length, length) bool as lines, a query each."""
    return ["".join(".x"[int(sees)] for sees in query) for query in seen]


def librarys(mask: Tensor, pictures: Tensor, window: int) -> dict[str, Tensor]:
    """What the library makes of `token_type_ids`, each kind (rows, length, length) bool."""
    config = Gemma3TextConfig(num_hidden_layers=2, sliding_window=window)
    config._attn_implementation = "sdpa"
    made = library.create_masks_for_vision_model(
        config=config,
        inputs_embeds=torch.zeros(*mask.shape, 1),
        attention_mask=mask,
        past_key_values=DynamicCache(),
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        block_sequence_ids=library.get_block_sequence_ids_for_mask(pictures.to(torch.int64)),
    )
    return {kind: made[kind][:, 0] for kind in KINDS}


def padded_rows(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask, both (rows, longest) int64, padded behind each row."""
    ids = padded(rows)
    mask = torch.tensor([[1] * len(row) + [0] * (ids.shape[1] - len(row)) for row in rows])
    return ids, mask


def some_ids(rng: random.Random) -> list[int]:
    """A prompt of up to three pictures, which stand between words, or of words alone."""
    ids = [1] * rng.randint(1, 6)
    for _ in range(rng.randint(0, 3)):
        ids += [PICTURE] * rng.randint(1, 7) + [1] * rng.randint(1, 6)
    return ids


def test_a_small_one_by_hand() -> None:
    """Two pictures of two tokens before one padded position; the second row is longer and has no picture."""
    ids = padded([[1, 9, 9, 1, 9, 9], [1, 1, 1, 1, 1, 1, 1]])
    seen = masks.prefix_lm(ids == PICTURE)
    assert drawn(seen[0]) == ["x......", "xxx....", "xxx....", "xxxx...", "xxxxxx.", "xxxxxx.", "xxxxxxx"]
    assert drawn(seen[1]) == ["x......", "xx.....", "xxx....", "xxxx...", "xxxxx..", "xxxxxx.", "xxxxxxx"]
    near = masks.prefix_lm(ids == PICTURE, window=2)
    assert drawn(near[0]) == ["x......", "xxx....", ".xx....", "..xx...", "...xxx.", "....xx.", ".....xx"]
    assert drawn(near[1]) == ["x......", "xx.....", ".xx....", "..xx...", "...xx..", "....xx.", ".....xx"]


def test_additive_is_nothing_or_minus_infinity() -> None:
    seen = torch.tensor([[[True, False], [True, True]]])
    found = masks.additive(seen, torch.bfloat16)
    assert found.dtype == torch.bfloat16
    assert found.tolist() == [[[[0.0, -torch.inf], [0.0, 0.0]]]]


def test_masks_are_the_librarys_where_a_row_is() -> None:
    """Rows of none to three pictures, padded to the longest; windows that cut pictures and windows that cut nothing."""
    rng = random.Random(3)
    cut = 0
    for _ in range(60):
        ids, mask = padded_rows([some_ids(rng) for _ in range(rng.randint(1, 5))])
        pictures, real, window = ids == PICTURE, mask.bool(), rng.choice((2, 3, 5, 11, 64))
        wanted = librarys(mask, pictures, window)
        seen, near = masks.prefix_lm(pictures), masks.prefix_lm(pictures, window)
        assert torch.equal(seen[real], wanted["full_attention"][real])
        assert torch.equal(near[real], wanted["sliding_attention"][real])
        assert bool(seen.any(-1).all() and near.any(-1).all()), "attention over nothing is NaN in some kernels"
        cut += not torch.equal(seen, near)
    assert 20 <= cut < 60


@dataclass
class MaskSubject:
    model: Any
    alone: LibraryAlone


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> MaskSubject:
    directory = write_random("gemma", tmp_path_factory.mktemp("gemma"))
    model: Any = load("gemma", directory, device="cpu", dtype="float32")
    return MaskSubject(model, LibraryAlone("gemma", directory, model))


def jobs(rng: random.Random) -> list[Job]:
    """Three pictures, one, none behind a text longer than the window, and next to nothing: all padded but the first."""
    return [
        Job(Task.CAPTION, tuple(picture(rng) for _ in range(3)), "two red shapes", max_new_tokens=12),
        Job(Task.CAPTION, (picture(rng),), "a blue circle on the left", max_new_tokens=12),
        Job(Task.CAPTION, (), "a green square " * SLIDING_WINDOW, max_new_tokens=12),
        Job(Task.CAPTION, (), "red", max_new_tokens=12),
    ]


def test_rows_of_one_prefill_are_identical_to_rows_alone(subject: MaskSubject) -> None:
    rng = random.Random(8)
    wanted = jobs(rng)
    rows = [subject.model.prepare(job) for job in wanted]
    lengths = {len(row.prompt_ids) for row in rows}
    assert len(lengths) == len(rows)
    assert max(lengths) > 2 * SLIDING_WINDOW
    batch = subject.model.prefill(rows)
    for _ in range(12):
        subject.model.step(batch)
        subject.model.sample(batch)
    for job, row in zip(wanted, rows, strict=True):
        truth = subject.alone.tokens(job, row)
        assert row.tokens[: len(truth)] == truth


def test_the_library_makes_no_mask_of_a_prompt(subject: MaskSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*args: Any, **options: Any) -> None:
        raise AssertionError("a prompt's mask was mapped over its positions")

    monkeypatch.setattr(torch, "vmap", slow)
    rng = random.Random(9)
    rows = [subject.model.prepare(job) for job in jobs(rng)]
    decode_mixed(subject.model, rows, rng)
    assert all(row.finish for row in rows)


def test_no_position_of_a_prompt_sees_nothing(subject: MaskSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention over nothing is NaN in some kernels, and then a padded position's keys and values are NaN too."""
    given: list[Tensor] = []
    attend = torch.nn.functional.scaled_dot_product_attention

    def watched(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        if query.shape[2] > 1 and options.get("attn_mask") is not None:
            given.append(options["attn_mask"])
        return attend(query, key, value, **options)

    rows = [subject.model.prepare(job) for job in jobs(random.Random(10))]
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    subject.model.prefill(rows)
    assert len(given) == len(subject.model.decoder.blocks) - 1, "nothing reads the output of the last one"
    for mask in given:
        seen = mask if mask.dtype == torch.bool else mask == 0
        assert bool(seen.any(-1).all())
    assert not torch.equal(given[0], given[-1])  # a sliding layer first, then a full one


def test_a_short_prompt_needs_one_mask(subject: MaskSubject) -> None:
    none = torch.zeros(2, SLIDING_WINDOW, dtype=torch.bool)
    mask = subject.model.prompt_mask(none)
    assert mask(None) is mask(SLIDING_WINDOW)
    mask = subject.model.prompt_mask(torch.zeros(2, SLIDING_WINDOW + 1, dtype=torch.bool))
    assert not torch.equal(mask(None), mask(SLIDING_WINDOW))
    assert mask(SLIDING_WINDOW) is mask(SLIDING_WINDOW)
