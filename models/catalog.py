"""The models on offer: where the published weights are, under which licence, and what each can do."""

from __future__ import annotations

from dataclasses import dataclass

import errors
from vision.tasks import Task


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. `revision` is the full commit on the hub that `hub_id` is pinned to."""

    name: str
    title: str
    hub_id: str
    revision: str
    licence: str
    gated: bool
    parameters: int
    bf16_bytes: int
    tasks: frozenset[Task]


_ALL_TASKS = frozenset({Task.CAPTION, Task.COLLECTIVE, Task.QUERY})

CATALOG: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="blip",
            title="BLIP base",
            hub_id="Salesforce/blip-image-captioning-base",
            revision="82a37760796d32b1411fe092ab5d4e227313294b",
            licence="BSD-3-Clause",
            gated=False,
            parameters=224_000_000,
            bf16_bytes=448_000_000,
            tasks=frozenset({Task.CAPTION}),
        ),
        Entry(
            name="blip2",
            title="BLIP-2 OPT 2.7B",
            hub_id="Salesforce/blip2-opt-2.7b",
            revision="main",
            licence="MIT",
            gated=False,
            parameters=3_744_800_000,
            bf16_bytes=7_489_600_000,
            tasks=frozenset({Task.CAPTION, Task.QUERY}),
        ),
        Entry(
            name="gemma",
            title="Gemma 3 4B",
            hub_id="google/gemma-3-4b-it",
            revision="main",
            licence="Gemma terms of use",
            gated=True,
            parameters=4_300_100_000,
            bf16_bytes=8_600_200_000,
            tasks=_ALL_TASKS,
        ),
        Entry(
            name="intern_vlm",
            title="InternVL3 1B",
            hub_id="OpenGVLab/InternVL3-1B-hf",
            revision="main",
            licence="Apache-2.0 and Qwen licence",
            gated=False,
            parameters=938_200_000,
            bf16_bytes=1_876_400_000,
            tasks=_ALL_TASKS,
        ),
    )
}


def entry(name: str) -> Entry:
    """The catalogue's entry. Raises UnknownModel, naming the choices."""
    if name not in CATALOG:
        raise errors.UnknownModel(f"There is no model '{name}'. Choose one of: {', '.join(CATALOG)}.", param="model")
    return CATALOG[name]


def entry_for(name: str, task: Task) -> Entry:
    """The entry of a model that can do `task`. Raises UnknownModel or TaskNotSupported, naming those that can."""
    found = entry(name)
    if task not in found.tasks:
        able = ", ".join(other.name for other in CATALOG.values() if task in other.tasks)
        raise errors.TaskNotSupported(f"The model '{name}' cannot {task}. These can: {able}.", param="model")
    return found
