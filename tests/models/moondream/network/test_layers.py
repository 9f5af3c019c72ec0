"""The two constants of a layer, where a fault in them is plain: the golden vectors hardly show it."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from looksee.models.arithmetic import machine
from looksee.models.moondream.network.layers import Mlp, attention_dtype
from looksee.models.moondream.network.network import Network
from tests.models.moondream import vectors
from tests.models.moondream.rounding import error, near


@pytest.fixture(scope="module")
def net() -> Network:
    return vectors.model("mini70").net


@torch.inference_mode()
def test_the_eps_of_every_norm(net: Network) -> None:
    """Inputs with a variance of 1e-6, of which 1e-5 as eps leaves other outputs than 1e-6."""
    norms = [(name, part) for name, part in net.named_modules() if isinstance(part, nn.LayerNorm)]
    assert len(norms) == 2 * 2 + 1 + 2 + 1  # the vision tower's, and the text model's
    for name, norm in norms:
        x = 1e-3 * torch.randn(50, *norm.normalized_shape, generator=Generator().manual_seed(0))

        def formula(eps: float, x: Tensor = x, norm: nn.LayerNorm = norm) -> Tensor:
            centred = x - x.mean(-1, keepdim=True)
            return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * norm.weight + norm.bias

        assert near(norm(x), formula(1e-5), 8), name
        assert error(norm(x), formula(1e-6)) > 0.1, name


@torch.inference_mode()
def test_every_gelu_is_the_tanh_approximation(net: Network) -> None:
    mlps = [(name, part) for name, part in net.named_modules() if isinstance(part, Mlp)]
    assert len(mlps) == 2 + 1 + 2 + 2  # the vision tower's and its projection, the text model's, the two decoders
    for name, mlp in mlps:
        x = torch.randn(50, mlp.fc1.in_features, generator=Generator().manual_seed(0))
        approximate = 0.5 * (y := mlp.fc1(x)) * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (y + 0.044715 * y**3)))
        assert near(mlp(x), mlp.fc2(approximate), 8), name
        assert error(mlp(x), mlp.fc2(functional.gelu(y))) > 1e-4, name


@pytest.mark.parametrize(
    ("device", "dtype", "amx", "wanted"),
    [
        ("cpu", torch.float32, False, torch.float32),
        ("cpu", torch.float32, True, torch.float32),
        ("cpu", torch.bfloat16, False, torch.float32),
        ("cpu", torch.bfloat16, True, torch.bfloat16),
        ("cpu", torch.float16, True, torch.float32),
        ("cuda", torch.bfloat16, False, torch.bfloat16),
        ("cuda", torch.float16, False, torch.float16),
    ],
)
def test_attention_on_a_cpu_is_of_fewer_bits_with_amx_alone(
    device: str, dtype: torch.dtype, amx: bool, wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "amx", lambda: amx)
    assert attention_dtype(torch.device(device), dtype) == wanted
