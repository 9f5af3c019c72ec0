"""LOOKSEE_PRELOAD, LOOKSEE_PIN and LOOKSEE_KEEP_ALIVE_SECONDS: which models are loaded, and stay so."""

from __future__ import annotations

import os

import pytest

from looksee.settings import settings
from tests.settings.test_settings import bare_environment, refusal

__all__ = ["bare_environment"]

NAMES = ("LOOKSEE_PRELOAD", "LOOKSEE_PIN")


def test_none_by_default() -> None:
    os.environ.update(LOOKSEE_PRELOAD="", LOOKSEE_PIN="", LOOKSEE_KEEP_ALIVE_SECONDS="")
    found = settings()
    assert (found.preloaded_models(), found.pinned_models(), found.keep_alive_seconds) == ([], [], 0)


def test_they_are_named_in_any_order() -> None:
    os.environ.update(MODEL_CAPACITY="3", LOOKSEE_PRELOAD="moondream, blip,blip", LOOKSEE_PIN="gemma")
    found = settings()
    assert (found.preloaded_models(), found.pinned_models()) == (["blip", "moondream"], ["gemma"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("moondreem", "'moondreem' is no model; did you mean moondream?"),
        ("blip,,", "a name in the list is empty"),
        ("gemma", "'gemma' is not among LOOKSEE_MODELS; there are: blip, moondream"),
    ],
)
def test_a_name_of_no_model_that_there_is_ends_the_start(name: str, text: str, said: str) -> None:
    os.environ.update({"LOOKSEE_MODELS": "blip, moondream", name: text})
    (line,) = refusal().splitlines()[1:]
    assert line.startswith(f"  {name}: ")
    assert said in line


@pytest.mark.parametrize("seconds", ["-1", "soon", "5m"])
def test_a_time_that_is_none_ends_the_start(seconds: str) -> None:
    os.environ["LOOKSEE_KEEP_ALIVE_SECONDS"] = seconds
    assert "  LOOKSEE_KEEP_ALIVE_SECONDS: " in refusal()


@pytest.mark.parametrize("name", NAMES)
def test_models_for_which_there_is_no_room_end_the_start(name: str) -> None:
    os.environ.update({"MODEL_CAPACITY": "2", name: "blip,gemma,moondream"})
    (line,) = refusal().splitlines()[1:]
    assert line.startswith(f"  {name}: these are 3 models, and MODEL_CAPACITY lets 2 be loaded at a time; raise it")
    os.environ["MODEL_CAPACITY"] = "0"
    assert settings()


def test_pins_that_leave_no_room_for_the_others_end_the_start() -> None:
    os.environ.update(LOOKSEE_PIN="blip", LOOKSEE_MODELS="blip,gemma,moondream")  # and one place
    (line,) = refusal().splitlines()[1:]
    assert line.startswith(
        "  LOOKSEE_PIN: these would take every place of MODEL_CAPACITY (1), and gemma, moondream could"
    )
    os.environ["LOOKSEE_MODELS"] = "blip"
    assert settings()


def test_models_elsewhere_take_no_place_here() -> None:
    os.environ.update(LOOKSEE_PRELOAD="blip,gemma", LOOKSEE_GEMMA_URL="http://gpu:3001", LOOKSEE_PIN="gemma")
    assert settings().preloaded_models() == ["blip", "gemma"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    os.environ.update(LOOKSEE_PRELOAD="blip,gemma", LOOKSEE_PIN="blip", LOOKSEE_PINS="blip")
    assert [line.split(":")[0].strip() for line in refusal().splitlines()[1:]] == [
        "LOOKSEE_PRELOAD",
        "LOOKSEE_PIN",
        "LOOKSEE_PINS",
    ]
