"""The models as they are measured: an encoder of pictures, a pass over a prompt, and a decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.stand_ins import library_models, moondream
from looksee.models.core import masks
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.decoder import Decoder
from looksee.models.core.passes import Prefill
from looksee.models.decoders.bert import BertDecoder
from looksee.models.decoders.gemma3 import Gemma3Decoder
from looksee.models.decoders.opt import OptDecoder
from looksee.models.decoders.qwen2 import Qwen2Decoder
from looksee.models.moondream.config import Config
from looksee.models.moondream.network.network import Network

NAMES = ("blip", "blip2", "gemma", "intern_vlm", "moondream")
_WORDS = 20  # of a prompt beside its picture, in a chat; those that continue a picture have about one
_IDS = 1000  # every vocabulary has so many

Fill = Callable[[BatchCache], object]


@dataclass(frozen=True)
class BenchSubject:
    """`pictures(count)` gives the vision tower's input, `encode` runs it: one crop or tile a picture.

    `prompt` is the number of positions before the first step; `fill` keeps those of all rows of a cache. `cache_dtype`
    is the dtype of keys and values, `parameters` the number of the network's.
    """

    name: str
    decoder: Decoder
    cache_dtype: torch.dtype
    parameters: int
    prompt: int
    pictures: Callable[[int], Tensor]
    encode: Callable[[Tensor], Tensor]
    fill: Fill


def build(name: str, *, device: torch.device, dtype: torch.dtype, layers: int | None = None) -> BenchSubject:
    """A model by its name, at the published size but for `layers`. Raises KeyError for an unknown name."""
    makers: dict[str, Callable[[torch.device, torch.dtype, int | None], BenchSubject]] = {
        "blip": _blip,
        "blip2": _blip2,
        "gemma": _gemma,
        "intern_vlm": _intern_vlm,
        "moondream": _moondream,
    }
    return makers[name](device, dtype, layers)


def embedded(decoder: Decoder, rows: int, length: int, device: torch.device) -> Tensor:
    """Embeddings (rows, length, width) of arbitrary tokens."""
    ids = torch.arange(rows * length, device=device).remainder(_IDS).view(rows, length)
    return decoder.embed(ids)


def _library(name: str, device: torch.device, dtype: torch.dtype, layers: int | None) -> tuple[Any, int, int]:
    """A network of the library's, the number of its parameters, and the side of its pictures in pixels."""
    net = library_models.network(library_models.configuration(name, layers=layers), device=device, dtype=dtype)
    side = net.config.vision_config.image_size
    side = side[0] if isinstance(side, list | tuple) else side
    return net, sum(parameter.numel() for parameter in net.parameters()), side


def _noise(side: int, device: torch.device, dtype: torch.dtype, count: int) -> Tensor:
    return torch.randn(count, 3, side, side, device=device).to(dtype)


def _features(net: Any, pixels: Tensor) -> Tensor:
    features: Tensor = net.get_image_features(pixels).pooler_output
    return features


def _fill_causal(decoder: Decoder, length: int, cache: BatchCache) -> None:
    decoder.fill(embedded(decoder, cache.rows, length, cache.storage.device), Prefill(cache.span(), length))


def _blip(device: torch.device, dtype: torch.dtype, layers: int | None) -> BenchSubject:
    net, parameters, side = _library("blip", device, dtype, layers)
    vision = net.config.vision_config
    positions = (vision.image_size // vision.patch_size) ** 2 + 1
    decoder = BertDecoder(net.text_decoder, cross_length=positions)

    def fill(cache: BatchCache) -> None:
        states = torch.randn(cache.rows, positions, vision.hidden_size, device=device).to(dtype)
        decoder.write_cross(states, cache.span())

    def encode(pixels: Tensor) -> Tensor:
        states: Tensor = net.vision_model(pixel_values=pixels).last_hidden_state
        return states

    return BenchSubject("blip", decoder, dtype, parameters, 1, partial(_noise, side, device, dtype), encode, fill)


def _blip2(device: torch.device, dtype: torch.dtype, layers: int | None) -> BenchSubject:
    net, parameters, side = _library("blip2", device, dtype, layers)
    decoder, prompt = OptDecoder(net.language_model), net.config.num_query_tokens + 1
    pictures = partial(_noise, side, device, dtype)
    fill = partial(_fill_causal, decoder, prompt)
    return BenchSubject("blip2", decoder, dtype, parameters, prompt, pictures, partial(_features, net), fill)


def _gemma(device: torch.device, dtype: torch.dtype, layers: int | None) -> BenchSubject:
    net, parameters, side = _library("gemma", device, dtype, layers)
    decoder = Gemma3Decoder(net.model.language_model, net.lm_head)
    tokens = net.config.mm_tokens_per_image
    prompt = tokens + _WORDS

    def fill(cache: BatchCache) -> None:
        is_image = (torch.arange(prompt, device=device) < tokens).expand(cache.rows, -1)
        mask = masks.additive(masks.prefix_lm(is_image), dtype)  # a prompt is shorter than the window
        decoder.fill(embedded(decoder, cache.rows, prompt, device), Prefill(cache.span(), prompt, lambda window: mask))

    pictures = partial(_noise, side, device, dtype)
    return BenchSubject("gemma", decoder, dtype, parameters, prompt, pictures, partial(_features, net), fill)


def _intern_vlm(device: torch.device, dtype: torch.dtype, layers: int | None) -> BenchSubject:
    net, parameters, side = _library("intern_vlm", device, dtype, layers)
    decoder = Qwen2Decoder(net.model.language_model, net.lm_head)
    prompt = net.config.image_seq_length + _WORDS
    pictures = partial(_noise, side, device, dtype)
    fill = partial(_fill_causal, decoder, prompt)
    return BenchSubject("intern_vlm", decoder, dtype, parameters, prompt, pictures, partial(_features, net), fill)


def _moondream(device: torch.device, dtype: torch.dtype, layers: int | None) -> BenchSubject:
    config = Config()
    if layers:
        vision = replace(config.vision, enc_n_layers=layers)
        config = replace(config, text=replace(config.text, n_layers=layers), vision=vision)
    net: Network = moondream.network(config, device=device, dtype=dtype)
    side, patches = config.vision.crop_size, config.text.prefix_attn - 1

    def pictures(count: int) -> Tensor:
        return torch.randn(count, side, side, 3, device=device).to(dtype)

    def encode(crops: Tensor) -> Tensor:
        features = net.vision(crops)
        return net.vision.project(features, features)

    def fill(cache: BatchCache) -> None:
        tokens = torch.randn(cache.rows, patches, config.text.dim, device=device).to(dtype)
        for layer, prefix in enumerate(net.image_prefixes(tokens)):
            cache.span().layer(layer)[:, :, : prefix.shape[2]] = prefix

    parameters = sum(parameter.numel() for parameter in net.parameters())
    prompt = config.text.prefix_attn
    return BenchSubject("moondream", net.text, net.cache_dtype, parameters, prompt, pictures, encode, fill)
