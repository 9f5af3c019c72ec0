"""Numbers to embeddings, hidden states to numbers."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from looksee.models.moondream.config import RegionConfig
from looksee.models.moondream.network.region import RegionModel
from tests.models.moondream import vectors
from tests.models.moondream.rounding import near, no_farther

WAVES = 4  # operations behind each other: two products, a cosine and a linear
MLP = 3


def widest(region: RegionModel) -> float:
    """The largest angle of a wave, in radians; coordinates and sizes are up to 1."""
    return 2 * math.pi * max(float(region.coord_features.abs().max()), float(region.size_features.abs().sum(0).max()))


@pytest.mark.parametrize("name", vectors.NAMES)
@torch.inference_mode()
def test_encoders_and_decoders(name: str) -> None:
    region = vectors.model(name).net.region
    wanted = load_file(vectors.FOLDER / "units" / f"region-{name}.safetensors")
    coordinates, sizes, hidden = wanted["coord_in"], wanted["size_in"], wanted["hidden_in"]
    angle = widest(region)
    assert near(region.embed_coordinates(coordinates), wanted["coord_embed"], WAVES, angle=angle)
    assert near(region.embed_sizes(sizes), wanted["size_embed"], WAVES, angle=angle)
    assert near(region.coordinate_logits(hidden), wanted["coord_logits"], MLP)
    assert near(region.size_logits(hidden), wanted["size_logits_wh"], MLP)


def test_what_a_bin_means() -> None:
    """1024 bins are 0 to 1023/1024 for a coordinate, and 2^-10 to 1 for a size."""
    bins = json.loads((vectors.FOLDER / "units" / "bins.json").read_text())
    with torch.device("meta"):
        region = RegionModel(RegionConfig())
    assert [region.coordinate(number) for number in bins["bin"]] == bins["coord"]
    assert [region.size(number) for number in bins["bin"]] == pytest.approx(bins["size"], rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_embeddings_of_references(dtype: torch.dtype) -> None:
    """A value is rounded to the model's dtype before it is fed."""
    region = vectors.model("full378", dtype=dtype).net.region
    truth, golden = vectors.tensors("full378"), vectors.tensors("full378", "expected-bf16")
    coordinates = region.embed_coordinates(torch.tensor([0.35, 0.55, 0.75, 0.125], dtype=dtype))
    sizes = region.embed_sizes(torch.tensor([[0.5, 0.7]], dtype=dtype))
    for stem in ("im-200x100", "im-640x480"):
        for found, name in ((coordinates, "coords"), (sizes, "sizes")):
            key = f"{stem}/spatial_embeds/{name}"
            if dtype == torch.float32:
                assert near(found, truth[key], WAVES, angle=widest(region)), key
            else:
                assert no_farther(found, golden[key], truth[key]), key
