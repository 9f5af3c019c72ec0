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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("gpt-4o=gemma,llava=moondream", {"gpt-4o": "gemma", "llava": "moondream"}),
        (" GPT-4o = google/gemma-3-4b-it , default=BLIP ", {"gpt-4o": "gemma", "default": "blip"}),
        ("local/llava:13b=intern_vlm", {"local/llava:13b": "intern_vlm"}),
    ],
)
def test_further_names_for_models(text: str, expected: dict[str, str]) -> None:
    os.environ["LOOKSEE_MODEL_ALIASES"] = text
    assert settings().aliases() == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpt-4o=gema", f"'gpt-4o' is to mean 'gema', which is no model; there are: {', '.join(REGISTRY)}"),
        ("gpt-4o", "'gpt-4o' is no pair; write name=model, as gpt-4o=gemma"),
        ("gpt-4o=", "'gpt-4o=' is no pair"),
        ("=gemma", "'=gemma' is no pair"),
        ("gpt-4o=gemma,", "'' is no pair"),
        ("Blip=gemma", "'Blip' is a model's own name already"),
        ("a=gemma,A=blip", "'A' is there twice"),
        ("a=b,b=gemma", "'a' is to mean 'b', which is no model"),
    ],
)
def test_a_name_for_no_model_ends_the_start(text: str, said: str) -> None:
    os.environ["LOOKSEE_MODEL_ALIASES"] = text
    (line,) = refusal().splitlines()[1:]
    assert line.startswith("  LOOKSEE_MODEL_ALIASES: ")
    assert said in line


def test_a_name_for_a_model_that_is_left_out_ends_the_start_too() -> None:
    os.environ.update(LOOKSEE_MODELS="blip,moondream", LOOKSEE_MODEL_ALIASES="gpt-4o=gemma")
    assert "'gpt-4o' is to mean 'gemma', which is no model; there are: blip, moondream" in refusal()
