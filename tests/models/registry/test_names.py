"""By which names a model can be asked, and what an operator's names change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from looksee.core import errors
from looksee.core.tasks import Task
from looksee.models.registry import (
    REGISTRY,
    also_known_as,
    offer_for,
    other_names,
    resolved,
    serve_only,
)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    also_known_as({})
    serve_only(list(REGISTRY))


@pytest.mark.parametrize("name", REGISTRY)
def test_a_model_is_known_by_its_own_name_in_any_case_and_by_its_place_on_the_hub(name: str) -> None:
    hub_id = REGISTRY[name].hub_id
    own = (name, name.upper(), name.title(), f"{name}:latest", f" {name} ")
    of_hub = (hub_id, hub_id.lower(), hub_id.upper(), hub_id.rpartition("/")[2], f"{hub_id}:latest")
    for form in (*own, *of_hub):
        assert offer_for(form, Task.CAPTION).name == name, form


@pytest.mark.parametrize("name", ["moondream2", "Moondream-2B", "moondream3-preview", "default", "DEFAULT"])
def test_names_of_others_mean_moondream(name: str) -> None:
    assert offer_for(name, Task.CAPTION).name == "moondream"


def test_default_is_the_first_model_where_moondream_is_not_here() -> None:
    serve_only(["gemma", "blip2"])
    assert resolved("default") == "blip2"
    with pytest.raises(errors.UnknownModel, match=r"There is no model 'moondream2'\. Choose one of: blip2, gemma\."):
        offer_for("moondream2", Task.CAPTION)


@pytest.mark.parametrize("name", ["", "gpt-4o", "gemma2", "google", "latest", ":latest", "gemma:4b"])
def test_what_is_nobodys_name_is_refused_as_it_was_sent(name: str) -> None:
    assert resolved(name) == name
    with pytest.raises(errors.UnknownModel, match=f"There is no model '{name}'."):
        offer_for(name, Task.CAPTION)


def test_of_a_long_name_the_beginning_is_quoted() -> None:
    with pytest.raises(errors.UnknownModel) as caught:
        offer_for("x" * 10_000, Task.CAPTION)
    assert len(caught.value.message) < 300


def test_an_operators_names_go_before_those_of_others_and_never_before_a_models_own() -> None:
    also_known_as({"gpt-4o": "gemma", "default": "intern_vlm", "moondream2": "blip"})
    assert [resolved(name) for name in ("gpt-4o", "GPT-4o", "gpt-4o:latest")] == ["gemma"] * 3
    assert resolved("default") == "intern_vlm"
    assert resolved("moondream2") == "blip"
    assert other_names()["gpt-4o"] == "gemma"
    also_known_as({})
    assert resolved("gpt-4o") == "gpt-4o"
