"""Model names in paths. Only known names match: BentoML keeps metrics for every path that it ever saw, so an invented
name must not reach it.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor

from looksee.core import errors
from looksee.models.registry import ALIASES, DEFAULT, REGISTRY, other_names, served

MODEL = "{name:model}"  # in a route: a model's name
KNOWN = "{name:known}"  # the same, or a name that clients of other servers have for one
Name = Annotated[str, Path(json_schema_extra={"enum": list(REGISTRY)})]  # that part as a parameter
KnownName = Annotated[str, Path(json_schema_extra={"enum": [*REGISTRY, *ALIASES]})]


def known_names() -> list[str]:
    """All names that have an address."""
    return [*REGISTRY, *(spec.hub_id for spec in REGISTRY.values()), *other_names(), DEFAULT]


def checked(name: str) -> str:
    """The name, of a model that there is here. Raises ModelNotFound."""
    if name not in served():
        raise not_found()
    return name


def not_found() -> errors.ModelNotFound:
    """The error for a path with the name of a model that there is not."""
    return errors.ModelNotFound(f"There is no such model. There are: {', '.join(served())}.", param="model")


class _ModelName(Convertor[str]):
    """What `MODEL` matches."""

    regex = "|".join(REGISTRY)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class _KnownName(_ModelName):
    """What `KNOWN` matches: every name, a hub id also as the hub spells it."""

    @property
    def regex(self) -> str:  # type: ignore[override]
        """Looked at when an app is built: the operator's names are known by then."""
        return "|".join(re.escape(name) for name in known_names())


register_url_convertor("model", _ModelName())
register_url_convertor("known", _KnownName())
