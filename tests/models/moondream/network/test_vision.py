"""The encoder's activations are the golden ones, in both geometries and dtypes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from looksee.core.images import decode
from looksee.models.moondream.crops.merge import pool, stitch
from looksee.models.moondream.crops.tiling import Crops, cut
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.network.network import Network
from tests.models.moondream import vectors
from tests.models.moondream.vectors import close

POSITIONS = [0, 1, 26, 27, 364, 700, 728]  # of the rows that the large golden file keeps


@pytest.fixture(scope="module")
def mini() -> Moondream:
    return vectors.model("mini70")


def crops(name: str, image: str) -> Crops:
    return cut(decode(vectors.image(image)), vectors.config(name).vision)


@pytest.mark.parametrize("record", vectors.expected("mini70")["images"], ids=lambda record: record["image"])
@torch.inference_mode()
def test_every_stage_of_the_small_model(mini: Moondream, record: dict[str, str]) -> None:
    wanted = vectors.tensors("mini70")
    stem = record["image"].removesuffix(".png")
    own, vision = crops("mini70", record["image"]), mini.config.vision
    features = mini.net.features(own.pixels, at_once=3)
    encoded = wanted[f"{stem}/encoder_out"]
    assert close(features[: len(encoded)], encoded)
    tiles = features[1:].view(-1, vision.grid, vision.grid, vision.enc_dim)
    plane = stitch(tiles, own.rows, own.columns, vision.overlap_margin)
    assert close(plane, wanted[f"{stem}/reconstructed"])
    assert close(pool(plane, vision.grid).flatten(0, 1), wanted[f"{stem}/pooled"])
    assert close(mini.net.image_tokens([own], at_once=16)[0], wanted[f"{stem}/image_embeds"])


def check_large(net: Network, image: str, wanted: dict[str, Tensor], tolerance: float) -> None:
    own, stem = crops("full378", image), image.removesuffix(".png")
    features = net.features(own.pixels, at_once=16)
    assert close(features[:, POSITIONS], wanted[f"{stem}/encoder_out_rows"], tolerance)
    tokens = net.image_tokens([own], at_once=16)[0]
    rows = wanted[f"{stem}/image_embeds_rows"]
    assert close(tokens[:: len(tokens) // len(rows)], rows, tolerance)
    assert close(tokens.float().mean(0), wanted[f"{stem}/image_embeds_mean"], tolerance)
    assert close(tokens.float().std(0), wanted[f"{stem}/image_embeds_std"], tolerance)


@torch.inference_mode()
def test_the_true_geometry() -> None:
    net = vectors.model("full378").net
    for record in vectors.expected("full378")["images"]:
        check_large(net, record["image"], vectors.tensors("full378"), 1e-4)


@torch.inference_mode()
def test_the_true_geometry_in_bfloat16() -> None:
    net = vectors.model("full378", dtype=torch.bfloat16).net
    for record in vectors.expected("full378", "expected-bf16")["images"]:
        check_large(net, record["image"], vectors.tensors("full378", "expected-bf16"), 0.0625)


@torch.inference_mode()
def test_pictures_of_any_tilings_share_a_batch(mini: Moondream) -> None:
    """As many crops at once as fit, wherever one picture ends and the next begins."""
    many = [crops("mini70", record["image"]) for record in vectors.expected("mini70")["images"]]
    together = mini.net.image_tokens(many, at_once=4)
    for own, tokens in zip(many, together, strict=True):
        assert close(mini.net.image_tokens([own], at_once=64)[0], tokens, 1e-5)


def test_the_grid_has_nothing_to_do_with_the_number_of_layers() -> None:
    """In the published code it is the number of layers, which happens to be 27 as well."""
    config = vectors.config("mini70")
    deeper = replace(config, vision=replace(config.vision, enc_n_layers=3))
    net = Network(deeper)
    with torch.inference_mode():
        for parameter in net.parameters():
            parameter.normal_(std=0.05)
        assert net.image_tokens([crops("mini70", "im-50x40.png")], at_once=8).shape == (1, 25, 64)
