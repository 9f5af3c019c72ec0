"""Every model that can be asked: those of the registry, and those that other services answer for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from looksee.core import errors
from looksee.core.tasks import Task
from looksee.models.registry.names import ALIASES, DEFAULT, named
from looksee.models.registry.spec import ModelOffer, ModelSpec
from looksee.models.registry.table import REGISTRY

# Models that others serve and that may be asked from here: none, unless the gateway is configured so
# (`looksee.gateway.moondream_cloud`).
REMOTE_MODELS: dict[str, ModelOffer] = {}
_LONGEST = 100  # characters of a name that an error quotes
_WITHDRAWN: set[str] = set()  # names of the registry that this deployment does not have


def serve_only(names: Collection[str]) -> None:
    """Have these models of the registry alone, in this process. Once, before it is asked for any."""
    _WITHDRAWN.clear()
    _WITHDRAWN.update(REGISTRY.keys() - set(names))


def served() -> dict[str, ModelSpec]:
    """The models of the registry that there are here, by name."""
    return {name: spec for name, spec in REGISTRY.items() if name not in _WITHDRAWN}


def offers() -> dict[str, ModelOffer]:
    """Every model that can be asked, by name."""
    return {**served(), **REMOTE_MODELS}


def names_served(names: Sequence[Any]) -> list[Any]:
    """Of a list of models' names those that there are here; any other list as it is."""
    if not _WITHDRAWN or any(name not in REGISTRY and name not in (*ALIASES, DEFAULT) for name in names):
        return list(names)
    return [name for name in names if ALIASES.get(name, name) not in _WITHDRAWN]


def chat_models() -> list[str]:
    """The names of the models that take a chat and do what it tells them, in alphabetical order."""
    return sorted(name for name, offer in offers().items() if offer.chats)


def resolved(name: str) -> str:
    """The model that is `named` so, whatever it can do; the name as it is where it is nobody's."""
    return named(name, offers())


def forced_models() -> list[str]:
    """The names of the models whose answers can be forced into a form, in alphabetical order."""
    return sorted(name for name, offer in offers().items() if offer.forces)


def offer_for(name: str, task: Task) -> ModelOffer:
    """The model of that name, or that is `named` so, which can do `task`.

    Raises UnknownModel or TaskNotSupported, naming those that can.
    """
    known = offers()
    name, asked = named(name, known), name
    if name not in known:
        shown = asked if len(asked) <= _LONGEST else f"{asked[:_LONGEST]}..."
        raise errors.UnknownModel(f"There is no model '{shown}'. Choose one of: {', '.join(known)}.", param="model")
    if task not in known[name].tasks:
        able = ", ".join(other.name for other in known.values() if task in other.tasks)
        raise errors.TaskNotSupported(f"The model '{name}' has no task '{task}'. These have it: {able}.", param="model")
    return known[name]
