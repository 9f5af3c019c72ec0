"""Weights that are cut, of another model or full of NaN: a clear failure, no answer, and service once mended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bentoml._internal.configuration.containers import BentoMLContainer
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from looksee.core.tasks import Ask, Job, Reply, Task
from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES
from looksee.settings import Settings
from runners import lifecycle, model_loader
from runners import runner as runner_module
from runners.keeping import residency
from runners.runner import Runner
from tests.faults.recording import Recorder
from tests.support import pictures
from tests.support.loops import run

FILE = "model.safetensors"


def rewritten(directory: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Save the tensors again after `change`."""
    file = directory / FILE
    tensors = load_file(file)
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    change(tensors)
    save_file(tensors, file, metadata)


def cut(directory: Path) -> None:
    content = (directory / FILE).read_bytes()
    (directory / FILE).write_bytes(content[: len(content) // 2])


def header_of_garbage(directory: Path) -> None:
    content = (directory / FILE).read_bytes()
    (directory / FILE).write_bytes(content[:8] + b"\xff" * 200 + content[208:])


def header_that_is_huge(directory: Path) -> None:
    content = (directory / FILE).read_bytes()
    (directory / FILE).write_bytes(b"\xff" * 8 + content[8:])


def empty(directory: Path) -> None:
    (directory / FILE).write_bytes(b"")


def gone(directory: Path) -> None:
    (directory / FILE).unlink()


def half_the_tensors(directory: Path) -> None:
    rewritten(directory, lambda tensors: [tensors.pop(name) for name in sorted(tensors)[::2]])


def one_tensor_less(directory: Path) -> None:
    rewritten(directory, lambda tensors: tensors.pop(sorted(tensors)[len(tensors) // 2]))


def other_shapes(directory: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        name = sorted(tensors)[len(tensors) // 2]
        tensors[name] = torch.zeros(3)

    rewritten(directory, change)


def tensors_of_another(directory: Path) -> None:
    other = "blip2" if directory.name == "blip" else "blip"
    shutil.copy(SAMPLES / other / FILE, directory / FILE)


def configuration_of_another(directory: Path) -> None:
    other = "gemma" if directory.name != "gemma" else "blip2"
    shutil.copy(SAMPLES / other / "config.json", directory / "config.json")


def configuration_of_garbage(directory: Path) -> None:
    (directory / "config.json").write_bytes(b"\x00\xffnot json")


def configuration_of_no_model(directory: Path) -> None:
    (directory / "config.json").write_text("{}")


def tokenizer_of_garbage(directory: Path) -> None:
    (directory / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": 7}))


DAMAGES = (
    cut,
    header_of_garbage,
    header_that_is_huge,
    empty,
    gone,
    one_tensor_less,
    other_shapes,
    tensors_of_another,
    configuration_of_another,
    configuration_of_garbage,
    configuration_of_no_model,
    tokenizer_of_garbage,
)


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Runner, Path]]:
    """A runner of a copy of a model's sample weights, and the copy."""

    def make(name: str) -> tuple[Runner, Path]:
        directory = tmp_path / name
        shutil.copytree(SAMPLES / name, directory)
        monkeypatch.setattr(BentoMLContainer.bentoml_home, "get", lambda: str(tmp_path))
        monkeypatch.setenv(f"LOOKSEE_{name.upper()}_WEIGHTS", str(directory))
        chosen = Settings().model_copy(update={"torch_threads": 1, "load_retry_seconds": 0.001})
        for module in (runner_module, lifecycle, model_loader, residency):
            monkeypatch.setattr(module, "settings", lambda: chosen)
        return Runner(name), directory

    return make


def job(name: str) -> tuple[Job, str]:
    data, caption = pictures.scene(f"weights-{name}")
    return Job(Task.CAPTION, (data,), prompt="" if name in ("blip", "moondream") else "Describe the picture."), caption


def restored(directory: Path) -> None:
    shutil.rmtree(directory)
    shutil.copytree(SAMPLES / directory.name, directory)


async def refused_and_mended(one: Runner, directory: Path, damage: Callable[[Path], None]) -> tuple[Reply, Reply]:
    """What is answered with damaged weights, and then with whole ones, without a new process."""
    try:
        damage(directory)
        asked, _ = job(directory.name)
        refused = await one.infer(Ask(asked, 60))
        restored(directory)
        return refused, await one.infer(Ask(asked, 60))
    finally:
        await one.close()


def told(reply: Reply) -> str:
    assert reply.answer is None
    assert reply.failure is not None
    assert reply.failure.retry_after or reply.failure.code == "runner_failed"
    assert "/" not in reply.failure.message, "a path"
    return reply.failure.code


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["blip", "moondream"])
def test_damaged_weights_are_refused_and_mended_ones_taken(
    name: str, damage: Callable[[Path], None], runner: Callable[[str], tuple[Runner, Path]], record: Recorder
) -> None:
    refused, mended = run(refused_and_mended(*runner(name), damage), seconds=60)
    assert told(refused) == "weights_unavailable"
    assert mended.answer is not None, mended.failure
    assert mended.answer.text == job(name)[1]
    record("weights cut, of garbage, or with the configuration of another model", "503 `weights_unavailable`", wrong=[])


@pytest.mark.parametrize("name", list(REGISTRY))
def test_a_checkpoint_that_lacks_tensors_never_answers(
    name: str, runner: Callable[[str], tuple[Runner, Path]], record: Recorder
) -> None:
    """The library would fill them with random numbers, and the answers would be kept."""
    refused, mended = run(refused_and_mended(*runner(name), half_the_tensors), seconds=60)
    assert told(refused) == "weights_unavailable"
    assert mended.answer is not None, mended.failure
    record("weights that lack tensors", "503 `weights_unavailable`, the first of them named", wrong=[])


def with_nan(directory: Path) -> None:
    """In everything that is not normalised away, or looked up by few tokens."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and tensor.dim() > 1 and "embed" not in name:
                tensor.view(-1)[0] = float("nan")

    rewritten(directory, change)


@pytest.mark.parametrize("name", list(REGISTRY))
def test_nan_in_the_weights_is_no_answer(
    name: str, runner: Callable[[str], tuple[Runner, Path]], record: Recorder
) -> None:
    one, directory = runner(name)

    async def main() -> Reply:
        try:
            with_nan(directory)
            return await one.infer(Ask(job(name)[0], 60))
        finally:
            await one.close()

    assert told(run(main(), seconds=60)) == "runner_failed"
    record("NaN in the weights", "502 `runner_failed`", wrong=[])
