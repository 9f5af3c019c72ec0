"""A real model that is released leaves memory: nothing keeps it, not even a cycle of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref

import pytest

from looksee.core.tasks import Job, Task
from looksee.engine.engine import Engine
from looksee.engine.limits import EngineLimits
from looksee.models.loading import load
from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES
from runners import memory
from tests.support import pictures


@pytest.mark.parametrize("name", REGISTRY)
def test_nothing_keeps_a_released_model(name: str) -> None:
    if not (SAMPLES / name / "model.safetensors").is_file():
        pytest.skip("its sample weights are not there")

    def live() -> list[weakref.ref[object]]:
        """Load, answer, release."""
        model = load(name, SAMPLES / name, device="cpu", dtype="float32")
        engine = Engine(model, EngineLimits(queue=8, rows=8, cost=10_000))
        job = Job(Task.CAPTION, (pictures.scene("release")[0],))
        assert asyncio.run(engine.submit(job, timeout=60)).answer
        engine.close()
        networks = [getattr(model, part) for part in ("net", "decoder") if hasattr(model, part)]
        tensors = {tensor for network in networks for tensor in network.parameters()}
        return [weakref.ref(thing) for thing in (model, *networks, *tensors)]

    gc.collect()
    for _ in range(2):
        traces = live()
        memory.release_unused()
        assert not [trace for trace in traces if trace() is not None]


def test_importing_keeps_what_was_imported_and_nothing_later() -> None:
    class Node:
        other: object = None

    def cycle() -> weakref.ref[Node]:
        node = Node()
        node.other = node
        return weakref.ref(node)

    before = gc.get_freeze_count()
    try:
        with memory.importing():
            assert not gc.isenabled()
            inside = cycle()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
        later = cycle()
        memory.release_unused()
        assert inside() is None
        assert later() is None
    finally:
        gc.unfreeze()


def test_memory_is_told_in_bytes() -> None:
    resident = memory.resident_bytes()
    assert resident is not None
    block = bytearray(os.urandom(1)) * 2**26
    assert 2**25 < (memory.resident_bytes() or 0) - resident < 2**27
    del block
    assert memory.device_bytes() is None or (memory.device_bytes() or 0) >= 0


@pytest.mark.parametrize("variable", ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", None])
def test_segments_of_a_gpus_memory_can_grow_unless_the_operator_has_said_something(
    variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is set where torch is not imported yet."""
    for name in ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"):
        monkeypatch.setenv(name, "")  # so that what is set below ends with the test
        monkeypatch.delenv(name)
    if variable is not None:
        monkeypatch.setenv(variable, "max_split_size_mb:64")
    expected = {
        variable or "PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:64" if variable else "expandable_segments:True"
    }
    try:
        with memory.importing():
            assert {name: text for name, text in os.environ.items() if name.endswith("ALLOC_CONF")} == expected
    finally:
        gc.unfreeze()
