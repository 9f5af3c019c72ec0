"""LOOKSEE_MODELS: which models there are."""

from __future__ import annotations

import os

import pytest

from looksee.models.registry import REGISTRY
from looksee.settings import settings
from tests.settings.test_settings import bare_environment, refusal

__all__ = ["bare_environment"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", list(REGISTRY)),
        ("blip", ["blip"]),
        ("moondream, blip ,blip", ["blip", "moondream"]),
        (",".join(REGISTRY), list(REGISTRY)),
    ],
)
def test_which_models_there_are(text: str, expected: list[str]) -> None:
    os.environ["LOOKSEE_MODELS"] = text
    assert settings().served_models() == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gemma,moondreem", "'moondreem' is no model; did you mean moondream?"),
        ("moondream-cloud", "'moondream-cloud' is no model; did you mean moondream?"),
        ("clip", "'clip' is no model; did you mean blip?"),
        ("zzzz", f"'zzzz' is no model; there are: {', '.join(REGISTRY)}"),
        ("blip,,gemma", "a name in the list is empty"),
        (",", "a name in the list is empty"),
        (" ", "a name in the list is empty"),
    ],
)
def test_unknown_and_empty_names_end_the_start(text: str, said: str) -> None:
    os.environ["LOOKSEE_MODELS"] = text
    (line,) = refusal().splitlines()[1:]
    assert line.startswith("  LOOKSEE_MODELS: ")
    assert said in line
