"""What settings mean on which machine, and that machines that compute otherwise have other keys."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from looksee.core import errors
from looksee.models.arithmetic.machine import Machine
from looksee.models.arithmetic.rules import Arithmetic, resolve
from looksee.models.registry import REGISTRY
from looksee.models.registry.options import Dtype

CPU, AVX512, AMX = Machine(), Machine(avx512_bf16=True), Machine(amx=True)
HOPPER, TURING = Machine("cuda:0"), Machine("cuda:0", native_bfloat16=False)
MPS = Machine("mps")
DTYPES = Dtype.__args__  # type: ignore[attr-defined]


def keys_of(found: Machine, **settings: Any) -> str:
    return resolve(REGISTRY["blip"], found, **{"device": "auto", "dtype": "auto", **settings}).key


@pytest.mark.parametrize(
    ("found", "device", "dtype", "wanted"),
    [
        (CPU, "auto", "auto", Arithmetic("cpu", "float32")),
        (AMX, "auto", "auto", Arithmetic("cpu", "bfloat16", "blocked", True)),
        (AMX, "auto", "float32", Arithmetic("cpu", "float32", "plain", True)),
        (CPU, "cpu", "bfloat16", Arithmetic("cpu", "bfloat16")),
        (AVX512, "auto", "auto", Arithmetic("cpu", "bfloat16", "blocked")),
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


@pytest.mark.parametrize("found", [CPU, AVX512, AMX])
def test_sample_weights_are_float32_on_every_cpu_if_nothing_else_is_asked_for(found: Machine) -> None:
    def of_samples(machine: Machine, dtype: str) -> str:
        return resolve(REGISTRY["blip"], machine, device="auto", dtype=dtype, samples=True).dtype

    assert of_samples(found, "auto") == "float32"
    assert of_samples(found, "bfloat16") == of_samples(HOPPER, "auto") == "bfloat16"


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
    assert [keys_of(found) for found in (CPU, AVX512, AMX, HOPPER, TURING, MPS)] == [
        *("cpu float32", "cpu bfloat16", "cpu bfloat16 amx", "cuda bfloat16", "cuda float32", "mps bfloat16")
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
