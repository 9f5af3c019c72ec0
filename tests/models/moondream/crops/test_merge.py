"""Which features stay where crops overlap, and how they are averaged."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch.nn import functional

from looksee.models.moondream.crops.merge import pool, stitch
from tests.models.moondream import vectors
from tests.models.moondream.rounding import near

MAPS = json.loads((vectors.FOLDER / "units" / "reconstruct.json").read_text())


@pytest.mark.parametrize("record", MAPS, ids=[f"{record['tiles_h']}x{record['tiles_w']}" for record in MAPS])
def test_which_features_stay(record: dict[str, Any]) -> None:
    rows, columns, grid = record["tiles_h"], record["tiles_w"], record["grid"]
    numbered = torch.arange(rows * columns * grid * grid).view(rows * columns, grid, grid, 1)
    assert stitch(numbered, rows, columns, record["margin"])[..., 0].tolist() == record["index"]


@pytest.mark.parametrize(("high", "wide", "grid"), [(27, 27, 27), (46, 84, 27), (122, 46, 27), (8, 11, 5), (5, 20, 5)])
def test_pooling_is_the_librarys_adaptive_average(high: int, wide: int, grid: int) -> None:
    plane = torch.randn(high, wide, 6)
    wanted = functional.adaptive_avg_pool2d(plane.permute(2, 0, 1), grid).permute(1, 2, 0)
    assert near(pool(plane, grid), wanted, high + wide)  # the terms of both sums


def test_one_tile_is_left_as_it_is() -> None:
    plane = torch.randn(27, 27, 4)
    assert torch.equal(pool(stitch(plane[None], 1, 1, 4), 27), plane)
    assert pool(plane.half(), 27).dtype == torch.float16


def test_the_average_is_rounded_once() -> None:
    plane = torch.randn(46, 84, 6).bfloat16()
    assert torch.equal(pool(plane, 27), pool(plane.float(), 27).bfloat16())
