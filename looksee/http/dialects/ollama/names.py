"""What Ollama's clients call the models here, and what they are told about them."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from looksee.core import errors
from looksee.core.tasks import Task
from looksee.models.registry import ModelSpec, offer_for, served
from looksee.models.weights.source import resolve
from looksee.settings import Settings

_TAG = ":latest"  # which a name may have behind it, or not
# In Ollama's library; a name with another tag is other weights, which are not here.
_LIBRARY = {"gemma3": "gemma", "gemma3:4b": "gemma", "moondream:1.8b": "moondream"}


def resolved(name: str) -> str:
    """The model that a client means. Raises ModelNotFound."""
    plain = name.strip().lower().removesuffix(_TAG)
    try:
        return offer_for(_LIBRARY.get(plain, name), Task.CAPTION).name  # which all can write
    except errors.UnknownModel:
        known = ", ".join(f"{entry}{_TAG}" for entry in served())
        raise errors.ModelNotFound(f"model '{name[:100]}' not found; there are: {known}", param="model") from None


def described(entry: ModelSpec, settings: Settings) -> dict[str, Any]:
    """A model as in the list of models. The size is that of the weights as bfloat16; the digest is of their commit."""
    name = f"{entry.name}{_TAG}"
    return {
        "name": name,
        "model": name,
        "modified_at": datetime.combine(entry.since, time(), UTC).isoformat(),
        "size": entry.bf16_bytes,
        "digest": entry.revision,
        "details": details(entry, settings),
    }


def details(entry: ModelSpec, settings: Settings) -> dict[str, Any]:
    """The member `details` of several answers."""
    weights = resolve(entry.name, settings.weights, settings.model(entry.name).weights).kind
    return {
        "parent_model": "",
        "format": "safetensors",
        "family": entry.name,
        "families": [entry.name],
        "parameter_size": f"{entry.parameters / 1e9:.1f}B",
        "quantization_level": "BF16",
        "weights": weights,
    }
