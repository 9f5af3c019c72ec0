"""The models: a module with an entry for each, and their list. Everything else about models is made from it."""

from __future__ import annotations

from looksee.models.registry import blip, blip2, gemma, intern_vlm, moondream
from looksee.models.registry.offers import (
    ALIASES,
    REMOTE_MODELS,
    chat_models,
    forced_models,
    names_served,
    offer_for,
    offers,
    serve_only,
    served,
)
from looksee.models.registry.spec import ModelOffer, ModelSpec
from looksee.models.registry.table import REGISTRY, register

__all__ = [
    "ALIASES",
    "REGISTRY",
    "REMOTE_MODELS",
    "ModelOffer",
    "ModelSpec",
    "chat_models",
    "forced_models",
    "names_served",
    "offer_for",
    "offers",
    "register",
    "serve_only",
    "served",
]

for _entry in (blip, blip2, gemma, intern_vlm, moondream):
    register(_entry.SPEC)
