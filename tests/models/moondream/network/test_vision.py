"""The encoder's activations are the golden ones, in both geometries and dtypes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from looksee.core.images import decode
from looksee.models.moondream.crops.encoder import ImageEncoder
from looksee.models.moondream.crops.merge import pool, stitch
from looksee.models.moondream.crops.tiling import Crops, cut
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.network.network import Network
from tests.models.moondream import rounding, vectors
from tests.models.moondream.rounding import near, no_farther

POSITIONS = [0, 1, 26, 27, 364, 700, 728]  # of the rows that the large golden file keeps


@pytest.fixture(scope="module")
def mini() -> Moondream:
    return vectors.model("mini70")


def crops(name: str, image: str) -> Crops:
    return cut(decode(vectors.image(image)), vectors.config(name).vision)


@pytest.mark.parametrize("record", vectors.expected("mini70")["images"], ids=lambda record: record["image"])
@torch.inference_mode()
def test_every_stage_of_the_small_model(mini: Moondream, record: dict[str, str]) -> None:
    wanted, config = vectors.tensors("mini70"), mini.config
    stem = record["image"].removesuffix(".png")
    own, vision = crops("mini70", record["image"]), config.vision
    encoded, projected = rounding.encoded(config), rounding.projected(config)
    features = ImageEncoder(mini.net, crops_at_once=3).crop_features(own.pixels)
    golden = wanted[f"{stem}/encoder_out"]
    assert near(features[: len(golden)], golden, encoded)
    tiles = features[1:].view(-1, vision.grid, vision.grid, vision.enc_dim)
    plane = stitch(tiles, own.rows, own.columns, vision.overlap_margin)
    assert near(plane, wanted[f"{stem}/reconstructed"], encoded)
    assert near(pool(plane, vision.grid).flatten(0, 1), wanted[f"{stem}/pooled"], projected)
    assert near(
        ImageEncoder(mini.net, crops_at_once=16).image_tokens([own])[0], wanted[f"{stem}/image_embeds"], projected
    )


def large(net: Network, image: str) -> dict[str, Tensor]:
    """What the golden files keep of a picture, computed."""
    own, stem = crops("full378", image), image.removesuffix(".png")
    tokens = ImageEncoder(net, crops_at_once=16).image_tokens([own])[0]
    kept = len(vectors.tensors("full378")[f"{stem}/image_embeds_rows"])
    return {
        f"{stem}/encoder_out_rows": ImageEncoder(net, crops_at_once=16).crop_features(own.pixels)[:, POSITIONS],
        f"{stem}/image_embeds_rows": tokens[:: len(tokens) // kept],
        f"{stem}/image_embeds_mean": tokens.float().mean(0),
        f"{stem}/image_embeds_std": tokens.float().std(0),
    }


@torch.inference_mode()
def test_the_true_geometry() -> None:
    model, wanted = vectors.model("full378"), vectors.tensors("full378")
    for record in vectors.expected("full378")["images"]:
        for key, found in large(model.net, record["image"]).items():
            assert near(found, wanted[key], rounding.projected(model.config)), key


@torch.inference_mode()
def test_the_true_geometry_in_bfloat16() -> None:
    net = vectors.model("full378", dtype=torch.bfloat16).net
    truth, golden = vectors.tensors("full378"), vectors.tensors("full378", "expected-bf16")
    for record in vectors.expected("full378", "expected-bf16")["images"]:
        for key, found in large(net, record["image"]).items():
            assert no_farther(found, golden[key], truth[key]), key


@torch.inference_mode()
def test_pictures_of_any_tilings_share_a_batch(mini: Moondream) -> None:
    """As many crops at once as fit, wherever one picture ends and the next begins."""
    many = [crops("mini70", record["image"]) for record in vectors.expected("mini70")["images"]]
    together = ImageEncoder(mini.net, crops_at_once=4).image_tokens(many)
    for own, tokens in zip(many, together, strict=True):
        assert near(
            ImageEncoder(mini.net, crops_at_once=64).image_tokens([own])[0], tokens, rounding.projected(mini.config)
        )


def test_the_grid_has_nothing_to_do_with_the_number_of_layers() -> None:
    """In the published code it is the number of layers, which happens to be 27 as well."""
    config = vectors.config("mini70")
    deeper = replace(config, vision=replace(config.vision, enc_n_layers=3))
    net = Network(deeper)
    with torch.inference_mode():
        for parameter in net.parameters():
            parameter.normal_(std=0.05)
        assert ImageEncoder(net, crops_at_once=8).image_tokens([crops("mini70", "im-50x40.png")]).shape == (1, 25, 64)
