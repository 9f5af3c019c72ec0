"""One model's figures on a device."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch

from bench.gpu import decoding, limits
from bench.gpu.decoding import Decoded
from bench.gpu.limits import DeviceLimits
from bench.gpu.subjects import BenchSubject
from looksee.models.core.batch_cache import BatchCache


@dataclass(frozen=True, slots=True)
class PassFigures:
    """A pass over `rows` pictures or prompts: seconds, and the part of the device's products a second it computes."""

    rows: int
    seconds: float
    of_limit: float


@dataclass(frozen=True, slots=True)
class StepFigures:
    """Decode steps of `rows` rows. `of_limit` is the time that the bytes of a step take at least, in parts of its own.

    `same` is the part of the rows whose tokens are those of the way before; None for the first one. `slowest` has a
    capture in it, where there is one.
    """

    rows: int
    way: str
    seconds: float
    slowest: float
    of_limit: float
    same: float | None


@dataclass(slots=True)
class ModelFigures:
    """All of one model."""

    name: str
    parameters: int
    prompt: int
    step_bytes: int
    encode: list[PassFigures] = field(default_factory=list)
    prefill: list[PassFigures] = field(default_factory=list)
    steps: list[StepFigures] = field(default_factory=list)
    memory: int = 0

    @property
    def unequal(self) -> bool:
        """Whether captured steps, or those ahead, said anything else than the same steps without a graph or in turn."""
        return any(one.way in ("captured", "ahead") and one.same != 1 for one in self.steps)


@torch.inference_mode()
def measure(
    subject: BenchSubject,
    able: DeviceLimits,
    device: torch.device,
    *,
    rows: Sequence[int],
    steps: int,
    rounds: int,
    told: Callable[[str], None],
) -> ModelFigures:
    """Pictures, prompts and steps of each number of rows; `told` hears what is under way."""
    weights = limits.weight_bytes(subject.decoder)
    found = ModelFigures(subject.name, subject.parameters, subject.prompt, weights)
    for count in rows:
        told(f"{subject.name}: {count} pictures and prompts")
        pixels = subject.pictures(count)
        found.encode.append(_pass(count, partial(subject.encode, pixels), able, device, rounds))
    ways = decoding.ways(subject, device)
    for count in rows:
        cache = BatchCache(ways["eager"].runner.storage, count, subject.prompt)
        found.prefill.append(_pass(count, partial(subject.fill, cache), able, device, rounds))
        del cache
    for count in rows:
        before: Decoded | None = None
        for name, way in ways.items():
            told(f"{subject.name}: {count} rows, {name} steps")
            decoded = decoding.decode(subject, way, count, subject.prompt, steps)
            least = limits.step_bytes(subject.decoder, count, subject.prompt + steps // 2, subject.cache_dtype)
            seconds = statistics.median(decoded.seconds)
            equal = decoding.same(before, decoded) if before else None
            share = least / able.bandwidth / seconds
            found.steps.append(StepFigures(count, name, seconds, max(decoded.seconds), share, equal))
            before = decoded
    if device.type == "cuda":
        found.memory = torch.cuda.max_memory_reserved(device)
    return found


def _pass(rows: int, run: Callable[[], object], able: DeviceLimits, device: torch.device, rounds: int) -> PassFigures:
    needed = limits.operations(run)
    seconds = limits.seconds(run, device, rounds)
    return PassFigures(rows, seconds, needed / able.products / seconds)


def record(found: Iterable[ModelFigures]) -> list[dict[str, Any]]:
    """The figures as JSON has them."""
    return [asdict(one) for one in found]
