"""Loading, where the installation itself is in the way, and in which arithmetic."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from looksee.core import errors
from looksee.models.arithmetic import machine
from looksee.models.arithmetic.machine import Machine
from looksee.models.arithmetic.rules import resolve
from looksee.models.linears import blocked, int8
from looksee.models.linears.blocked import BlockedLinear
from looksee.models.linears.int8 import Int8Linear
from looksee.models.loading import load, settled
from looksee.models.weights.source import SAMPLES
from tests.support.serving import ROOT

LOAD = f"""
import logging
logging.basicConfig()
from pathlib import Path
from looksee.core import errors
from looksee.models.loading import load
try:
    print(type(load("blip", Path({str(SAMPLES / "blip")!r}), device="cpu", dtype="float32")).__name__)
except errors.WeightsUnavailable as error:
    print("refused:", error.message)
"""


def torchvision(site: Path, code: str) -> None:
    """Install a torchvision that does `code` when it is imported."""
    (site / "torchvision").mkdir(parents=True)
    (site / "torchvision" / "__init__.py").write_text(code)
    (site / "torchvision-0.28.0.dist-info").mkdir()
    (site / "torchvision-0.28.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n"
    )


def run(site: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": f"{site}:{ROOT}"}
    return subprocess.run([sys.executable, "-c", LOAD], env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "code",
    ['raise RuntimeError("operator torchvision::nms does not exist")', "import no_such_library", "1 / 0"],
    ids=["another torch's", "a part missing", "otherwise"],
)
def test_a_broken_torchvision_is_named_with_a_way_out(code: str, tmp_path: Path) -> None:
    torchvision(tmp_path, code)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused: No model can be loaded: torchvision is installed with the service and")
    assert "pip uninstall torchvision" in done.stdout
    assert "ERROR:looksee.models:torchvision is installed here and cannot be imported" in done.stderr
    assert "Traceback" in done.stderr, "the log has the cause"


def test_none_is_needed(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Blip"), done.stderr


def kinds(model: Any) -> tuple[set[type[nn.Module]], set[type[nn.Module]]]:
    """The classes of linear layers that decode, and of those that do not."""
    decoder, whole = model.networks()
    layers = (nn.Linear, BlockedLinear, Int8Linear)
    own = {id(part): type(part) for part in decoder.modules() if isinstance(part, layers)}
    others = {id(part): type(part) for part in whole.modules() if isinstance(part, layers)}
    return set(own.values()), {kind for key, kind in others.items() if key not in own}


@pytest.mark.parametrize("name", ["blip", "moondream"])
@pytest.mark.parametrize(
    ("amx", "dtype", "decoding", "others", "said"),
    [
        (False, "float32", nn.Linear, nn.Linear, "on cpu, float32, plain linear layers"),
        (False, "auto", BlockedLinear, BlockedLinear, "on cpu, bfloat16, blocked linear layers"),
        (False, "bfloat16", BlockedLinear, BlockedLinear, "on cpu, bfloat16, blocked linear layers"),
        (True, "auto", BlockedLinear, BlockedLinear, "on cpu, bfloat16, blocked linear layers"),
        (False, "int8", Int8Linear, Int8Linear, "on cpu, float32, int8 linear layers"),
        (True, "int8", Int8Linear, BlockedLinear, "on cpu, bfloat16, decoder int8 linear layers"),
    ],
)
def test_linear_layers_are_what_the_processor_can(
    name: str,
    amx: bool,
    dtype: str,
    decoding: type[nn.Module],
    others: type[nn.Module],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(machine, "_cpu_flags", lambda: {"avx512_bf16", "amx_bf16"} if amx else {"avx512_bf16"})
    monkeypatch.setattr(int8, "pays", lambda dtype: True)
    with caplog.at_level(logging.INFO, "looksee.models"):
        model = load(name, SAMPLES / name, device="cpu", dtype=dtype)
    assert kinds(model) == ({decoding}, {others})
    (line,) = (record.message for record in caplog.records if record.name == "looksee.models")
    assert line.startswith(f"{name}: {said}, {torch.get_num_threads()} threads, ")
    assert line.endswith(" MiB of weights")


def test_int8_without_its_operators_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "_prepack", None)
    with pytest.raises(errors.WeightsUnavailable, match=r"'blip' cannot be loaded in int8: torch 2\S* lacks"):
        load("blip", SAMPLES / "blip", device="cpu", dtype="int8")


@pytest.mark.parametrize(("amx", "wanted"), [(False, ("float32", "plain")), (True, ("bfloat16", "blocked"))])
def test_int8_that_does_not_pay_is_plain(amx: bool, wanted: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "amx", lambda: amx)
    monkeypatch.setattr(int8, "pays", lambda dtype: False)
    chosen = settled("blip", device="cpu", dtype="int8")
    assert (chosen.dtype, chosen.linears) == wanted
    assert "int8" not in chosen.key


def refuse(*arguments: object) -> None:
    raise RuntimeError("bf16 path needs the cpu support")


@pytest.mark.parametrize("reorder", [None, refuse], ids=["missing", "of no use on this CPU"])
def test_bfloat16_without_the_operators_for_blocking_is_plain(
    reorder: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody asked for blocked weights: answers are the same, only later."""
    monkeypatch.setattr(machine, "amx", lambda: True)
    whole = settled("blip", device="cpu", dtype="auto")
    monkeypatch.setattr(blocked, "_reorder", reorder)
    chosen = settled("blip", device="cpu", dtype="auto")
    assert (chosen.linears, chosen.key) == ("plain", whole.key)
    assert "plain linear layers: torch 2" in caplog.text


def test_a_card_without_bfloat16_is_told_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(machine, "found", lambda device: Machine("cpu", native_bfloat16=False))
    monkeypatch.setattr("looksee.models.loading.resolve", noted)
    with caplog.at_level(logging.INFO, "looksee.models"):
        load("blip", SAMPLES / "blip", device="auto", dtype="auto")
    assert "MiB of weights; float32, for" in caplog.text


def noted(spec: Any, found: Machine, **settings: Any) -> Any:
    """The arithmetic of such a card, on the CPU: there is none here."""
    card = dataclasses.replace(found, device="cuda:0")
    return dataclasses.replace(resolve(spec, card, **settings), device="cpu")
