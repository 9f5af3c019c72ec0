"""The registered models."""

from __future__ import annotations

from looksee.models.registry.spec import ModelSpec

REGISTRY: dict[str, ModelSpec] = {}  # by name, in the order of every list and table


def register(spec: ModelSpec) -> None:
    """Add a model. What is made from the registry, from settings to routes, is made after this: before `service`,
    `looksee.settings` or `looksee.http` are imported. Raises ValueError for a name that is taken.
    """
    if spec.name in REGISTRY:
        raise ValueError(f"there is a model '{spec.name}' already")
    REGISTRY[spec.name] = spec
