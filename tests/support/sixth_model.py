"""A sixth model, added to the service by its registry entry alone, and the service that has it.

`bentoml serve tests.support.sixth_model:Looksee`
"""

from __future__ import annotations

import threading
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt

from looksee.core.tasks import Task
from looksee.models.registry import ModelSpec, register
from looksee.models.registry.options import ModelSettings
from tests.engine.toy import ToyModel

NAME = "speller"
DEFAULT = "a word"


class SpellerSettings(ModelSettings):
    """The toy spells its prompt: a row costs its letters."""

    max_batch_letters: PositiveInt = Field(64, description="letters of a running batch at most")

    @property
    def batch_cost(self) -> int:
        return self.max_batch_letters

    def options(self, *, sample: bool) -> dict[str, Any]:
        return {"delay": 0.01}


BREAKS, HANGS = "break the device", "stand still"


def trouble(words: list[str]) -> None:
    """What a broken device does with a batch that has one of these words in it."""
    if BREAKS in words:
        raise RuntimeError("CUDA error: device-side assert triggered")
    if HANGS in words:
        threading.Event().wait()


class Speller(ToyModel):
    """The engine's toy as a model that is loaded from a directory."""

    def __init__(self, directory: Path, *, device: Any, dtype: Any, delay: float) -> None:
        super().__init__(delay=delay, on_step=trouble)
        self.device = device


SPEC = ModelSpec(
    name=NAME,
    title="Speller",
    description="Spells what it is told.",
    hub_id="tests/speller",
    revision="0" * 40,
    licence="apache-2.0",
    gated=False,
    parameters=26,
    hub_bytes=26,
    since=date(2026, 11, 28),
    tasks=frozenset({Task.CAPTION, Task.QUERY}),
    context=64,
    model_class=f"{__name__}:Speller",
    settings=SpellerSettings,
    caption_prompt=DEFAULT,
    question_format="spell {question}",
)

register(SPEC)


def __getattr__(name: str) -> Any:
    import service  # what it imports is made from the registry

    return getattr(service, name)
