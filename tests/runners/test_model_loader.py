"""A runner's identity has what `auto` resolves to: machines that compute otherwise share no cached answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from looksee.models.arithmetic import machine
from looksee.models.arithmetic.machine import Machine
from looksee.models.arithmetic.rules import Arithmetic
from looksee.models.weights.source import SAMPLES, resolve
from looksee.settings import Settings
from runners import free_memory, model_loader
from runners.model_loader import ModelLoader
from tests.engine.toy import ToyModel

MACHINES = {
    "cpu float32": Machine(),
    "cpu bfloat16": Machine(avx512_bf16=True),
    "cpu bfloat16 amx": Machine(amx=True),
    "cuda bfloat16": Machine("cuda:0", amx=True),
    "cuda float32": Machine("cuda:0", native_bfloat16=False),
    "mps bfloat16": Machine("mps"),
}


def loader(monkeypatch: pytest.MonkeyPatch, found: Machine, name: str = "moondream", **changes: Any) -> ModelLoader:
    monkeypatch.setattr(machine, "found", lambda device: found)
    chosen = Settings().model_copy(update={"weights": "hub", "device": "auto", "dtype": "auto", **changes})
    monkeypatch.setattr(model_loader, "settings", lambda: chosen)
    return ModelLoader(name)


def fingerprint(monkeypatch: pytest.MonkeyPatch, found: Machine, **changes: Any) -> str | None:
    return loader(monkeypatch, found, **changes).identify().fingerprint


@pytest.mark.parametrize("computed", MACHINES)
def test_a_fingerprint_says_what_is_computed_with(computed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is loaded: cached answers are served without a model."""
    found = fingerprint(monkeypatch, MACHINES[computed])
    assert found is not None
    assert f" {computed} {{" in found


def test_machines_that_resolve_auto_differently_share_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [fingerprint(monkeypatch, one) for one in MACHINES.values()]
    assert None not in found
    assert len(set(found)) == len(MACHINES)


def test_sample_weights_have_the_same_key_on_every_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [fingerprint(monkeypatch, one, weights="sample") for one in MACHINES.values() if one.device == "cpu"]
    assert len(found) == 3
    assert len(set(found)) == 1


def test_a_setting_that_names_what_auto_is_shares_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    automatic = fingerprint(monkeypatch, Machine())
    assert fingerprint(monkeypatch, Machine(), device="cpu", dtype="float32") == automatic
    assert fingerprint(monkeypatch, Machine(amx=True), device="cpu", dtype="float32") == automatic
    assert fingerprint(monkeypatch, Machine(), dtype="bfloat16") != automatic


@pytest.mark.parametrize(("settled", "amx"), [("cpu int8", False), ("cpu int8 amx", True), ("cpu float32", False)])
def test_int8_is_known_when_it_was_tried_out(settled: str, amx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    own = loader(monkeypatch, Machine(amx=amx), dtype="int8")
    monkeypatch.setattr(model_loader, "_load", lambda name, directory, **how: object())
    monkeypatch.setattr(model_loader, "_settled", lambda name, **how: settled)
    assert own.identify().fingerprint is None
    own.load(SAMPLES / "moondream")
    assert f" {settled} {{" in str(own.identify().fingerprint)


def test_what_is_loaded_is_what_the_fingerprint_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of the key are those of loading."""
    for found in (Machine(), Machine(amx=True)):
        own = loader(monkeypatch, found, "blip")
        before = own.identify()
        model: Any = own.load(SAMPLES / "blip")
        assert own.identify() == before
        wanted = Arithmetic("cpu", str(model.dtype).removeprefix("torch."), amx=found.amx).key
        assert f" {wanted} {{" in str(before.fingerprint)


def test_a_refused_dtype_has_no_key_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprint(monkeypatch, Machine("cuda:0"), dtype="int8") is None
    assert loader(monkeypatch, Machine(), "gemma", dtype="float16").identify().fingerprint is None


def test_weights_that_are_not_there_have_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = loader(monkeypatch, Machine())
    own.source = resolve("moondream", "sample", str(tmp_path / "nowhere"))
    assert own.identify().fingerprint is None


@pytest.mark.parametrize(("setting", "capacity", "memory"), [(0, 1, 600), (0, 3, 200), (0, 0, 120), (77, 1, 77)])
def test_a_batch_may_hold_what_is_set_or_a_share_of_what_is_free(
    setting: int, capacity: int, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The features and prefixes that the model is going to keep are no longer free."""
    own = loader(monkeypatch, Machine(), "gemma", model_capacity=capacity)
    monkeypatch.setattr(own, "_memory", setting)
    asked: list[tuple[str, int]] = []

    def batch_memory(device: str, *, kept: int, models: int) -> int:
        asked.append((device, kept))
        return 600 // models

    monkeypatch.setattr(free_memory, "batch_memory", batch_memory)
    engine = own.start(ToyModel())
    try:
        assert engine.limits.memory == memory
        assert asked == ([] if setting else [("cpu", (64 + 256) * 2**20)])
    finally:
        own.stop(engine)
