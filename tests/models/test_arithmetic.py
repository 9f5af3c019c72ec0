"""What settings mean on which machine, and that machines that compute otherwise have other keys."""

from __future__ import annotations

import builtins
import ctypes
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from looksee.core import errors
from looksee.models import machine
from looksee.models.arithmetic import Arithmetic, resolve
from looksee.models.machine import Machine
from looksee.models.registry import REGISTRY
from looksee.models.registry.options import Dtype

CPU, AVX512, AMX = Machine(), Machine(avx512_bf16=True), Machine(amx=True)
HOPPER, TURING = Machine("cuda:0"), Machine("cuda:0", native_bfloat16=False)
MPS = Machine("mps")
DTYPES = Dtype.__args__  # type: ignore[attr-defined]


def keys_of(found: Machine, **settings: str) -> str:
    return resolve(REGISTRY["blip"], found, **({"device": "auto", "dtype": "auto"} | settings)).key


@pytest.mark.parametrize(
    ("found", "device", "dtype", "wanted"),
    [
        (CPU, "auto", "auto", Arithmetic("cpu", "float32")),
        (AMX, "auto", "auto", Arithmetic("cpu", "bfloat16", "blocked", True)),
        (AMX, "auto", "float32", Arithmetic("cpu", "float32", "plain", True)),
        (CPU, "cpu", "bfloat16", Arithmetic("cpu", "bfloat16")),
        (AVX512, "auto", "auto", Arithmetic("cpu", "float32")),
        (AVX512, "auto", "bfloat16", Arithmetic("cpu", "bfloat16", "blocked")),
        (AVX512, "auto", "int8", Arithmetic("cpu", "float32", "int8")),
        (CPU, "auto", "int8", Arithmetic("cpu", "float32", "int8")),
        (AMX, "auto", "int8", Arithmetic("cpu", "bfloat16", "int8", True)),
        (CPU, "auto", "float16", Arithmetic("cpu", "float16")),
        (HOPPER, "auto", "auto", Arithmetic("cuda:0", "bfloat16")),
        (HOPPER, "cuda:1", "float16", Arithmetic("cuda:1", "float16")),
        (dataclasses.replace(HOPPER, amx=True), "auto", "auto", Arithmetic("cuda:0", "bfloat16")),
        (MPS, "auto", "auto", Arithmetic("mps", "bfloat16")),
    ],
)
def test_what_settings_mean(found: Machine, device: str, dtype: str, wanted: Arithmetic) -> None:
    assert resolve(REGISTRY["blip"], found, device=device, dtype=dtype) == wanted


def test_a_card_without_bfloat16_computes_in_float32_and_the_log_says_so() -> None:
    chosen = resolve(REGISTRY["blip"], TURING, device="auto", dtype="auto")
    assert (chosen.dtype, chosen.note) == ("float32", "float32, for the device does not compute in bfloat16")
    asked = resolve(REGISTRY["blip"], TURING, device="cuda", dtype="bfloat16")
    assert (asked.dtype, asked.note) == ("bfloat16", "slow, for the device does not compute in bfloat16")


@pytest.mark.parametrize("found", [HOPPER, TURING, MPS])
def test_int8_is_refused_on_an_accelerator(found: Machine) -> None:
    with pytest.raises(errors.WeightsUnavailable, match=r"for CPUs alone, and the device is '(cuda:0|mps)'"):
        resolve(REGISTRY["blip"], found, device="auto", dtype="int8")


@pytest.mark.parametrize("found", [CPU, AMX, HOPPER])
def test_gemma_is_refused_in_float16(found: Machine) -> None:
    with pytest.raises(errors.WeightsUnavailable, match=r"'gemma' cannot be loaded in float16: .* LOOKSEE_GEMMA_DTYPE"):
        resolve(REGISTRY["gemma"], found, device="auto", dtype="float16")
    for dtype in set(DTYPES) - {"float16", "int8"}:
        resolve(REGISTRY["gemma"], found, device="auto", dtype=dtype)


def test_keys() -> None:
    assert [keys_of(found) for found in (CPU, AMX, HOPPER, TURING, MPS)] == [
        *("cpu float32", "cpu bfloat16 amx", "cuda bfloat16", "cuda float32", "mps bfloat16")
    ]
    assert [keys_of(found, dtype="int8") for found in (CPU, AMX)] == ["cpu int8", "cpu int8 amx"]
    assert keys_of(CPU, dtype="bfloat16") == keys_of(AVX512, dtype="bfloat16") == "cpu bfloat16"


def test_the_same_arithmetic_has_the_same_key_however_it_was_chosen() -> None:
    assert keys_of(AMX, dtype="float32") == keys_of(CPU) == keys_of(HOPPER, device="cpu", dtype="float32")
    assert keys_of(HOPPER, device="cuda:1") == keys_of(HOPPER)


def test_int8_that_does_not_pay_is_what_the_rest_is() -> None:
    plain = resolve(REGISTRY["blip"], CPU, device="auto", dtype="int8").without_int8()
    assert plain == resolve(REGISTRY["blip"], CPU, device="auto", dtype="auto")
    blocked = resolve(REGISTRY["blip"], AMX, device="auto", dtype="int8").without_int8()
    assert blocked == resolve(REGISTRY["blip"], AMX, device="auto", dtype="auto")


@pytest.mark.parametrize(
    ("facts", "amx", "avx512"),
    [
        ("processor : 0\nflags : fpu amx_bf16 avx512_bf16 amx_tile amx_int8\n", True, True),
        ("processor : 0\nflags : fpu avx512_bf16 amx_tile\n", False, True),
        ("processor : 0\nflags : fpu avx512f\n", False, False),
        ("processor : 0\nmodel name : amx_bf16\n", False, False),
        (None, False, False),
    ],
    ids=["AMX", "AVX-512", "neither", "no flags", "no such file"],
)
def test_instructions_are_what_the_kernel_says(
    facts: str | None, amx: bool, avx512: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    if facts is not None:
        file.write_text(facts)
    monkeypatch.setattr(machine, "_CPU_FACTS", file)
    monkeypatch.setattr(machine, "_cpu_flags", machine._cpu_flags.__wrapped__)
    assert (machine.amx(), machine.avx512_bf16()) == (amx, avx512)


def test_torch_finds_what_the_kernel_lets_programs_use() -> None:
    found = torch.cpu.get_capabilities()
    assert not machine.amx() or found["amx_bf16"]
    assert not machine.avx512_bf16() or found["avx512_bf16"]


def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Let the installed torch be one with this `version.py`."""
    (tmp_path / "version.py").write_text(version)
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(machine, "find_spec", lambda name: spec if name == "torch" else None)


@pytest.mark.parametrize(
    ("version", "driver", "platform", "wanted"),
    [
        ("cuda = None\nhip = None", False, "linux", True),
        ("cuda = None\nhip = None", True, "linux", True),
        ("cuda = '13.0'\nhip = None", False, "linux", True),
        ("cuda = '13.0'\nhip = None", True, "linux", False),
        ("cuda = None\nhip = '7.0'", False, "linux", False),
        ("cuda = None\nhip = None", False, "darwin", False),
    ],
)
def test_a_machine_without_an_accelerator_is_known_without_torch(
    version: str, driver: bool, platform: str, wanted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_library(name: str) -> None:
        assert name == "libcuda.so.1"
        if not driver:
            raise OSError

    build(tmp_path, monkeypatch, version)
    monkeypatch.setattr(ctypes, "CDLL", open_library)
    monkeypatch.setattr(machine.sys, "platform", platform)
    assert machine.without_accelerator.__wrapped__() is wanted


def test_a_cpu_is_known_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def guarded(name: str, *rest: Any) -> Any:
        assert name.partition(".")[0] != "torch"
        return real(name, *rest)

    monkeypatch.setattr(machine, "_cpu_flags", lambda: frozenset({"amx_bf16"}))
    monkeypatch.setattr(machine, "without_accelerator", lambda: True)
    monkeypatch.setattr(builtins, "__import__", guarded)
    assert machine.found("auto") == AMX
    monkeypatch.setattr(machine, "without_accelerator", lambda: False)
    assert machine.found("cpu") == AMX


@pytest.mark.parametrize(
    ("device", "cuda", "mps", "capability", "wanted"),
    [
        ("auto", True, False, (9, 0), HOPPER),
        ("auto", True, False, (8, 0), HOPPER),
        ("auto", True, False, (7, 5), TURING),
        ("cuda:1", True, False, (7, 5), Machine("cuda:1", native_bfloat16=False)),
        ("cuda:1", False, False, None, Machine("cuda:1")),
        ("auto", False, True, None, MPS),
        ("auto", False, False, None, CPU),
    ],
)
def test_what_torch_finds(
    device: str,
    cuda: bool,
    mps: bool,
    capability: tuple[int, int] | None,
    wanted: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_cpu_flags", frozenset)
    monkeypatch.setattr(machine, "without_accelerator", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda which: capability)
    assert machine.found(device) == wanted
