"""The library's batched `generate`, as other servers run it, is right where it is used."""

from __future__ import annotations

import pytest

from bench.pictures import Drawing, drawn
from bench.serving import functions
from looksee.models.registry import REGISTRY


@pytest.mark.parametrize("name", REGISTRY)
def test_captions_of_a_batch_are_those_of_each_picture_alone(name: str) -> None:
    pictures = drawn(3, seed=5)
    captions = functions.captions(name)
    together = captions([data for data, _ in pictures])
    assert together == [caption for _, caption in pictures]
    assert together == [captions([data])[0] for data, _ in pictures]


def test_other_seeds_draw_other_pictures() -> None:
    one, same, other = Drawing(1, 2).encoded(), Drawing(1, 2).encoded(), Drawing(2, 2).encoded()
    assert one == same
    assert not {image for image, _ in one} & {image for image, _ in other}
