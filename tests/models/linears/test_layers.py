"""The layers that replace plain ones, and the private operators of torch that they are made of."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from looksee.models.linears import blocked, int8
from looksee.models.linears.blocked import BlockedLinear
from looksee.models.linears.int8 import MOST_ERROR, Int8Linear
from looksee.models.linears.packed import operator
from tests.models.linears.vnni import needs_vnni
from tests.support.serving import ROOT

SIZES = [(64, 96), (588, 72), (10, 3), (257, 1001)]  # inputs and outputs, odd ones too
ROWS = [(5,), (1, 1, 5), (7, 5), (2, 33, 5)]  # the shapes before the inputs; the last number is replaced by them


def source(inputs: int, outputs: int, *, bias: bool = True, dtype: torch.dtype = torch.float32) -> nn.Linear:
    torch.manual_seed(inputs)
    return nn.Linear(inputs, outputs, bias=bias).requires_grad_(False).to(dtype)


def tokens(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(1))


def error(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.mark.skipif(not blocked.available(), reason="oneDNN has no bfloat16 on this CPU")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_a_blocked_layer_is_the_plain_one(inputs: int, outputs: int, bias: bool) -> None:
    plain = source(inputs, outputs, bias=bias, dtype=torch.bfloat16)
    layer, exact = BlockedLinear(plain), source(inputs, outputs, bias=bias)
    exact.load_state_dict(plain.state_dict())
    for shape in ROWS:
        x = tokens(*shape[:-1], inputs).to(torch.bfloat16)
        found = layer(x)
        assert found.dtype == torch.bfloat16
        assert error(found, exact(x.float())) < 2**-8, shape
    turned = tokens(inputs, 6).to(torch.bfloat16).T
    assert error(layer(turned), exact(turned.float())) < 2**-8


@needs_vnni
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_a_layer_of_8_bits_is_nearly_the_plain_one(inputs: int, outputs: int, bias: bool, dtype: torch.dtype) -> None:
    plain = source(inputs, outputs, bias=bias)
    layer = Int8Linear(plain)
    for shape in ROWS:
        x = 30 * tokens(*shape[:-1], inputs).to(dtype)
        found = layer(x)
        assert found.dtype == dtype
        assert error(found, plain(x.float())) < MOST_ERROR, shape
    turned = tokens(inputs, 6).T
    assert error(layer(turned), plain(turned)) < MOST_ERROR


@needs_vnni
def test_tokens_and_channels_of_any_size_share_a_layer() -> None:
    """One scale for all would leave nothing of the small ones."""
    plain = source(64, 40, bias=False)
    plain.weight *= torch.logspace(-4, 4, 40)[:, None]
    plain.weight[7] = 0
    x = tokens(5, 64) * torch.logspace(-6, 6, 5)[:, None]
    x[2] = 0
    found, wanted = Int8Linear(plain)(x), plain(x)
    assert not found[2].any()
    assert not found[:, 7].any()
    large = wanted != 0
    sizes = x.norm(dim=1)[:, None] * plain.weight.norm(dim=1)
    assert ((found - wanted).abs()[large] < MOST_ERROR * sizes[large]).all()


def test_a_row_of_8_bits_is_the_same_in_every_batch() -> None:
    layer = Int8Linear(source(257, 1001))
    x = tokens(9, 257) * torch.logspace(-3, 3, 9)[:, None]
    together = layer(x)
    for row in range(9):
        assert torch.equal(layer(x[row : row + 1])[0], together[row])


@needs_vnni
def test_the_operators_of_8_bits_sum_exactly() -> None:
    """Unsigned activations around a zero point of 128, signed weights, one scale for each channel: no sum saturates."""
    generator = Generator().manual_seed(2)
    q = torch.randint(-127, 128, (24, 512), generator=generator, dtype=torch.int8)
    x = torch.randint(0, 256, (5, 512), generator=generator, dtype=torch.uint8)
    q[0], x[0], x[1] = 127, 255, 0
    scales = torch.linspace(0.5, 2, 24)
    packed = operator("onednn", "qlinear_prepack")(q, None)
    arguments: list[Any] = [1.0, 128, packed, scales, torch.zeros(24, dtype=torch.int64)]
    found = operator("onednn", "qlinear_pointwise")(x, *arguments, None, 1.0, 0, torch.float32, "none", [], "")
    wanted = (x.long() - 128) @ q.long().T
    assert torch.equal(found, wanted * scales)


def test_the_operators_take_what_they_are_given() -> None:
    """Their schemas as torch 2.13 has them: an argument more or less is noticed here, with a new torch."""
    schemas = {
        ("mkldnn", "_reorder_linear_weight"): ["self", "batch_size"],
        ("mkldnn", "_linear_pointwise"): ["X", "W", "B", "attr", "scalars", "algorithm"],
        ("onednn", "qlinear_prepack"): ["weight", "x_shape"],
        ("onednn", "qlinear_pointwise"): [
            *("qx", "x_scale", "x_zero_point", "qw", "w_scale", "w_zero_point", "bias", "output_scale"),
            *("output_zero_point", "output_dtype", "post_op_name", "post_op_args", "post_op_algorithm"),
        ],
    }
    for (namespace, name), wanted in schemas.items():
        found = operator(namespace, name)
        assert [argument.name for argument in found._schema.arguments] == wanted, name


def test_operators_that_are_missing_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator("onednn", "no_such_operator") is None
    assert int8.available()
    assert blocked.available()
    for module in (int8, blocked):
        monkeypatch.setattr(module, "_linear", None)
        assert not module.available()


def test_a_layer_keeps_nothing_of_the_original_but_its_dtype() -> None:
    plain = source(64, 96, dtype=torch.bfloat16)
    for layer, size in ((BlockedLinear(plain), 2), (Int8Linear(plain), 1)):
        assert (layer.weight.dtype, layer.weight.numel()) == (torch.bfloat16, 0)
        assert (layer.in_features, layer.out_features) == (64, 96)
        assert 64 * 96 * size <= layer.packed_bytes < 64 * 96 * size * 1.5 + 4096


@needs_vnni
@pytest.mark.parametrize(("seconds", "pays"), [([1e-3, 2e-3], True), ([2e-3, 1e-3], False)])
def test_8_bits_have_to_be_faster(
    seconds: list[float], pays: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    times = iter(seconds * 5)
    monkeypatch.setattr(int8, "_seconds", lambda run: next(times))
    with caplog.at_level(logging.INFO, "looksee.models"):
        assert int8.pays.__wrapped__(torch.float32) is pays
    assert ("one takes 2.00 ms for a row, a plain one 1.00" in caplog.text) is not pays


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="of x86 processors")
def test_8_bits_have_to_be_right() -> None:
    """With AVX2 alone oneDNN adds two products in 16 bits, where they saturate."""
    code = "import logging, torch; logging.basicConfig(); from looksee.models.linears import int8; "
    command = [sys.executable, "-c", code + "print(int8.pays(torch.float32))"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert "on this CPU their error is 1" in done.stderr


def test_a_processor_that_has_no_such_product_keeps_plain_layers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr(int8, "_linear", refuse)
    assert int8.pays.__wrapped__(torch.float32) is False
    assert "no int8 linear layers on this CPU: could not create" in caplog.text
