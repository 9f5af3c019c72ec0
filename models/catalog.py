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
    parameters: int
    tasks: frozenset[Task]


CATALOG: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="blip",
            title="BLIP base",
            hub_id="Salesforce/blip-image-captioning-base",
            revision="82a37760796d32b1411fe092ab5d4e227313294b",
            licence="BSD-3-Clause",
            parameters=224_000_000,
            tasks=frozenset({Task.CAPTION}),
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
