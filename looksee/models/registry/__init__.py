"""The models: a module with an entry for each, and their list. Everything else about models is made from it."""

from __future__ import annotations

from looksee.models.registry import blip, blip2, gemma, intern_vlm, moondream
from looksee.models.registry.names import ALIASES, DEFAULT, DEFAULT_MODEL, also_known_as, other_names
from looksee.models.registry.offers import (
    REMOTE_MODELS,
    chat_models,
    forced_models,
    names_served,
    offer_for,
    offers,
    resolved,
    serve_only,
    served,
)
from looksee.models.registry.spec import ModelOffer, ModelSpec
from looksee.models.registry.table import REGISTRY, register

__all__ = [
    "ALIASES",
    "DEFAULT",
    "DEFAULT_MODEL",
    "REGISTRY",
    "REMOTE_MODELS",
    "ModelOffer",
    "ModelSpec",
    "also_known_as",
    "chat_models",
    "forced_models",
    "names_served",
    "offer_for",
    "offers",
    "other_names",
    "register",
    "resolved",
    "serve_only",
    "served",
]

for _entry in (blip, blip2, gemma, intern_vlm, moondream):
    register(_entry.SPEC)
