"""By which names a model can be asked: its own, its hub id, those that other servers' clients have, the operator's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from looksee.models.registry.table import REGISTRY

# What clients of other servers call them; "moondream3-preview" is what the moondream package chats with by default.
ALIASES = {"moondream2": "moondream", "moondream-2b": "moondream", "moondream3-preview": "moondream"}
DEFAULT_MODEL = "moondream"  # of a request that names none
DEFAULT = "default"  # a name that means it
_TAG = ":latest"
_operators: Mapping[str, str] = MappingProxyType({})


def also_known_as(names: Mapping[str, str]) -> None:
    """Have these further names (in lower case) for models, in this process. Once, before it is asked for any."""
    global _operators
    _operators = MappingProxyType(dict(names))


def other_names() -> dict[str, str]:
    """The model by each of its other names, which are in lower case. An operator's name goes before any other."""
    of_hub: dict[str, str] = {}
    for name, spec in REGISTRY.items():
        whole = spec.hub_id.lower()
        of_hub |= {whole: name, whole.rpartition("/")[2]: name}
    return {**of_hub, **ALIASES, **_operators}


def named(name: str, here: Collection[str]) -> str:
    """Which model of those `here` is meant by a name, in capitals or not, with or without `:latest`; the name as it is
    where it is nobody's.
    """
    if name in here:
        return name
    plain = name.strip().lower().removesuffix(_TAG)
    others = other_names()
    if plain in others:
        return others[plain]
    if plain in here:
        return plain
    if plain == DEFAULT:
        return DEFAULT_MODEL if DEFAULT_MODEL in here else next(iter(here), plain)
    return name
