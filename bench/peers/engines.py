"""The engines, each with one decoder of random weights: a prompt of some rows, and then steps."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText

from bench.peers.plain_decoder import PlainDecoder, causal
from looksee.models.core.batch_cache import BatchCache
from looksee.models.core.passes import Prefill
from looksee.models.loading import load

_IDS = 500  # different tokens that are fed: every vocabulary has so many
_LLAMA = (
    "llama.cpp: llama-cpp-python comes as its source alone, to be compiled for minutes; compiled by GCC 12 it crashes "
    "on CPUs with AMX"
)


class DecoderEngine(ABC):
    """`prefill` begins rows, and forgets those before; `step` feeds each its next token, and returns its logits."""

    name: str

    @abstractmethod
    def prefill(self, rows: int, length: int) -> None:
        """Read `length` arbitrary tokens of each row."""

    @abstractmethod
    def step(self) -> Tensor:
        """Logits (rows, vocabulary)."""


def prompt_ids(rows: int, length: int) -> Tensor:
    """Token ids (rows, length): the same for every engine."""
    return (torch.arange(rows * length) * 7).remainder(_IDS).view(rows, length)


class OwnDecoder(DecoderEngine):
    """This project's decoder, as the service loads it."""

    def __init__(self, directory: Path, dtype: str) -> None:
        self.name = f"Looksee, {dtype}"
        self.model: Any = load("intern_vlm", directory, device="cpu", dtype=dtype)
        self._cache: BatchCache | None = None
        self._length = 0

    @torch.inference_mode()
    def prefill(self, rows: int, length: int) -> None:
        self._cache = None  # frees its rows
        self._cache = BatchCache(self.model.step_runner.storage, rows, length + 1)
        embeddings = self.model.decoder.embed(prompt_ids(rows, length))
        self.model.decoder.fill(embeddings, Prefill(self._cache.span(), length))
        self._length = length

    @torch.inference_mode()
    def step(self) -> Tensor:
        cache = self._cache
        assert cache is not None
        embeddings = self.model.decoder.embed(torch.full((cache.rows, 1), 5))
        hidden = self.model.step_runner.step(cache, embeddings, [self._length] * cache.rows)
        self._length += 1
        logits: Tensor = self.model.decoder.logits(hidden)
        return logits


class OpenVinoDecoder(DecoderEngine):
    """The plain module converted by OpenVINO, its keys and values kept inside; `precision` is bf16 or f32.

    With `int8`, its weights are compressed by nncf.
    """

    def __init__(self, directory: Path, precision: str, threads: int, *, int8: bool = False) -> None:
        import openvino

        self.name = f"OpenVINO {openvino.__version__.partition('-')[0]}, {'int8 weights, ' if int8 else ''}{precision}"
        net: Any = AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32)
        self._words = net.model.language_model.embed_tokens.weight.detach().clone()
        config = net.config.text_config
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it traces modules in a way that torch would like to be rid of
            converted = stateful(PlainDecoder(net.model.language_model, net.lm_head).eval(), config)
            del net
            if int8:
                import nncf

                converted = nncf.compress_weights(converted, mode=nncf.CompressWeightsMode.INT8_SYM)
        # Pinned threads would leave torch's, in the same process, one core for all.
        options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        options |= {"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": "NO"}
        self._request = openvino.Core().compile_model(converted, "CPU", options).create_infer_request()
        self._rows = self._length = 0

    def prefill(self, rows: int, length: int) -> None:
        self._request.reset_state()
        self._rows, self._length = rows, 0
        self._feed(prompt_ids(rows, length))

    def step(self) -> Tensor:
        return self._feed(torch.full((self._rows, 1), 5))

    def _feed(self, ids: Tensor) -> Tensor:
        rows, fed = ids.shape
        positions = torch.arange(self._length, self._length + fed).expand(rows, -1)
        inputs = {
            "x": torch.nn.functional.embedding(ids, self._words).numpy(),
            "positions": positions.numpy(),
            "mask": causal(rows, fed, self._length).numpy(),
        }
        found = self._request.infer(inputs)
        self._length += fed
        return torch.from_numpy(found[0])


def stateful(decoder: PlainDecoder, config: Any) -> Any:
    """The module as an OpenVINO model that keeps its keys and values: inputs `x`, `positions`, `mask`; logits out."""
    import numpy
    import openvino
    from openvino import opset13
    from openvino._offline_transformations import apply_make_stateful_transformation

    layers = config.num_hidden_layers
    past = [torch.zeros(2, config.num_key_value_heads, 3, decoder.width) for _ in range(2 * layers)]
    example = (torch.zeros(2, 4, config.hidden_size), torch.arange(3, 7).expand(2, -1), causal(2, 4, 3), *past)
    with torch.no_grad():
        model = openvino.convert_model(decoder, example_input=example)
    names = ["x", "positions", "mask", *(f"past.{number}" for number in range(2 * layers))]
    shapes = [[-1, -1, config.hidden_size], [-1, -1], [-1, 1, -1, -1]]
    shapes += [[-1, config.num_key_value_heads, -1, decoder.width]] * (2 * layers)
    for port, name, shape in zip(model.inputs, names, shapes, strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_partial_shape(openvino.PartialShape(shape))
    kept = {}
    for number, port in enumerate(model.outputs[1:]):
        port.get_tensor().set_names({f"kept.{number}"})
        kept[f"past.{number}"] = f"kept.{number}"
    model.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(model, kept)
    # What is kept begins with no positions, for as many rows as come in.
    rows = opset13.gather(opset13.shape_of(model.input("x"), output_type="i64"), numpy.array([0]), numpy.array(0))
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            shape = opset13.concat([rows, numpy.array([config.num_key_value_heads, 0, decoder.width])], 0)
            node.set_arguments([opset13.broadcast(numpy.array(0, dtype=numpy.float32), shape).output(0)])
    model.validate_nodes_and_infer_types()
    return model


def absent() -> list[str]:
    """Engines that are not measured here, each with the reason."""
    found = [_LLAMA]
    if find_spec("openvino") is None:
        found.append("OpenVINO: not installed (pip install openvino)")
    elif find_spec("nncf") is None:
        found.append("OpenVINO with int8 weights: nncf is not installed (pip install nncf)")
    return found


def available(directory: Path, threads: int, dtypes: list[str]) -> list[DecoderEngine]:
    """All engines that can run here."""
    found: list[DecoderEngine] = [OwnDecoder(directory, dtype) for dtype in dtypes]
    if find_spec("openvino") is not None:
        precisions = {"float32": "f32", "bfloat16": "bf16"}
        found += [OpenVinoDecoder(directory, precisions[dtype], threads) for dtype in dtypes if dtype in precisions]
        if find_spec("nncf") is not None:
            found.append(OpenVinoDecoder(directory, "bf16", threads, int8=True))
    return found
