"""Numbers to embeddings, hidden states to numbers."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from looksee.models.moondream.config import RegionConfig
from looksee.models.moondream.network.region import RegionModel
from tests.models.moondream import vectors
from tests.models.moondream.vectors import close


@pytest.mark.parametrize("name", vectors.NAMES)
@torch.inference_mode()
def test_encoders_and_decoders(name: str) -> None:
    region = vectors.model(name).net.region
    wanted = load_file(vectors.FOLDER / "units" / f"region-{name}.safetensors")
    assert close(region.embed_coordinates(wanted["coord_in"]), wanted["coord_embed"])
    assert close(region.embed_sizes(wanted["size_in"]), wanted["size_embed"])
    assert close(region.coordinate_logits(wanted["hidden_in"]), wanted["coord_logits"])
    assert close(region.size_logits(wanted["hidden_in"]), wanted["size_logits_wh"])


def test_what_a_bin_means() -> None:
    """1024 bins are 0 to 1023/1024 for a coordinate, and 2^-10 to 1 for a size."""
    bins = json.loads((vectors.FOLDER / "units" / "bins.json").read_text())
    with torch.device("meta"):
        region = RegionModel(RegionConfig())
    assert [region.coordinate(number) for number in bins["bin"]] == bins["coord"]
    assert [region.size(number) for number in bins["bin"]] == pytest.approx(bins["size"], rel=1e-6)


@pytest.mark.parametrize(
    ("file", "dtype", "tolerance"), [("expected", "float32", 1e-4), ("expected-bf16", "bfloat16", 0.0625)]
)
@torch.inference_mode()
def test_embeddings_of_references(file: str, dtype: str, tolerance: float) -> None:
    """A value is rounded to the model's dtype before it is fed."""
    net = vectors.model("full378", dtype=getattr(torch, dtype)).net
    kind = getattr(torch, dtype)
    wanted = vectors.tensors("full378", file)
    for stem in ("im-200x100", "im-640x480"):
        coordinates = torch.tensor([0.35, 0.55, 0.75, 0.125], dtype=kind)
        assert close(net.region.embed_coordinates(coordinates), wanted[f"{stem}/spatial_embeds/coords"], tolerance)
        sizes = torch.tensor([[0.5, 0.7]], dtype=kind)
        assert close(net.region.embed_sizes(sizes), wanted[f"{stem}/spatial_embeds/sizes"], tolerance)
