"""Model names in paths, and what is said of a path that does not exist.

Only names of the catalogue match: BentoML keeps metrics for every path it ever saw, so invented ones must be refused
before it counts them.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor

from looksee.core import errors
from looksee.models.registry import REGISTRY

MODEL = "{name:model}"  # in a route: one of the catalogue's names
Name = Annotated[str, Path(json_schema_extra={"enum": list(REGISTRY)})]  # that part as a parameter

_SLASHES = re.compile("/{2,}")
_MODELS = ("/v1/models/", "/api/admin/models/")


class _ModelName(Convertor[str]):
    """What `MODEL` matches."""

    regex = "|".join(REGISTRY)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("model", _ModelName())


def tidied(path: str) -> str:
    """The path that is meant: the clients of `/v1` append theirs to an endpoint that may end with a slash."""
    return _SLASHES.sub("/", path) if path.startswith("/v1/") else path


def unknown(path: str) -> errors.LookseeError:
    """The error for a path that no route matches."""
    for prefix in _MODELS:
        name = path.removeprefix(prefix).partition("/")[0]
        if path.startswith(prefix) and name not in REGISTRY:
            return errors.ModelNotFound(f"There is no such model. There are: {', '.join(REGISTRY)}.", param="model")
    if path == "/v1/segment":
        return errors.NotOffered("None of the models here can segment; /v1/detect finds boxes.")
    if path.startswith("/v1/tuning"):
        return errors.NotOffered("Models are not trained here.")
    return errors.NotFound("There is nothing at this address.")
