"""A step over static buffers never waits for the host, and asks the same of the device whatever its rows are.

That is what lets it be captured: a graph repeats the calls, shapes and numbers of its first run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from looksee.models.core.graphs import NoGraphs
from tests.models.core.cases import NAMES, SEEDS, mixed
from tests.models.core.watching import UPLOAD, DeviceCalls, Watched


@pytest.mark.parametrize("name", NAMES)
def test_steps_of_a_bucket_ask_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these in a block makes it fail: a number read from a position, a mask that chooses rows, a length by the
    longest row, a list of the host's as an index.
    """
    case, watched = mixed(name), Watched()
    case.use(monkeypatch, watched)
    assert case.wrong(*SEEDS) == 0
    assert watched.captured >= 4, "buckets of 1, 2, 4 and 8 rows"
    assert watched.compared > 3 * watched.captured


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_step_reads_nothing_and_hands_little_over(
    name: str, static: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens, positions and, where rows have moved, their order are handed over; nothing of it row by row."""
    case = mixed(name)
    case.use(monkeypatch, NoGraphs() if static else None)
    rows = [fresh() for fresh in case.fresh[:5]]
    batch = case.model.prefill(rows)
    case.model.step(batch)
    case.model.sample(batch)
    batch = case.model.keep_rows(batch, [4, 2, 1])
    with DeviceCalls(uploads=True) as calls:
        case.model.step(batch)
    if name != "moondream":  # whose tokens and places are put together on the host, one by one
        assert sum(func is UPLOAD for func, *_ in calls.made) <= 3


WAITING: dict[str, Callable[[Tensor], Any]] = {
    "a number read": lambda x: x.sum().item(),
    "a truth read": lambda x: bool(x.all()),
    "places found": lambda x: x.nonzero(),
    "chosen by a mask": lambda x: x[x > 1],
    "written by a mask": lambda x: x.index_put_((x > 1,), torch.zeros(())),
    "repeated by counts": lambda x: x.repeat_interleave(x.to(torch.int64)),
    "another read": lambda x: torch.equal(x, x + 1),
}
HANDED: dict[str, Callable[[Tensor], Any]] = {
    "a list as an index": lambda x: x[[0, 1]],
    "numbers": lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("kind", WAITING)
def test_what_waits_is_seen(kind: str) -> None:
    x = torch.arange(3.0)
    with torch.inference_mode(), pytest.raises(AssertionError, match="the host waits"), DeviceCalls():
        WAITING[kind](x)


@pytest.mark.parametrize("kind", HANDED)
def test_what_is_handed_over_is_seen(kind: str) -> None:
    x = torch.arange(3.0)
    with torch.inference_mode(), pytest.raises(AssertionError, match="handed over"), DeviceCalls():
        HANDED[kind](x)


def test_other_shapes_and_other_numbers_are_seen() -> None:
    found = []
    for length, factor in ((3, 2.0), (4, 2.0), (3, 3.0), (3, 2.0)):
        x = torch.zeros(length)
        with torch.inference_mode(), DeviceCalls() as calls:
            x * factor
        found.append(calls.made)
    assert found[0] == found[3]
    assert found[0] != found[1]
    assert found[0] != found[2]


def test_what_crosses_devices_is_seen() -> None:
    """On `meta`, where steps are counted. A CPU hands its own numbers to a list without any call."""
    there, here = torch.zeros(3, 3, device="meta"), torch.arange(3)
    with torch.inference_mode(), pytest.raises(AssertionError, match=re.escape("aten.index")), DeviceCalls():
        there[here]
    for read in (Tensor.tolist, Tensor.cpu):
        with torch.inference_mode(), pytest.raises(NotImplementedError):
            read(there)
