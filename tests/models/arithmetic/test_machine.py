"""What is found of the machine, without torch where that is possible."""

from __future__ import annotations

import builtins
import ctypes
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from looksee.models.arithmetic import machine
from looksee.models.arithmetic.machine import Machine

CPU, AMX = Machine(), Machine(amx=True)
HOPPER, TURING = Machine("cuda:0"), Machine("cuda:0", native_bfloat16=False)
MPS = Machine("mps")


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
    monkeypatch.setattr(sys, "platform", platform)
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
