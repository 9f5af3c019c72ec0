"""The catalogue of models."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

import errors
from models import catalog
from models.catalog import CATALOG, Entry, entry, entry_for
from settings import ModelSettings, Settings
from vision.tasks import Task


@pytest.mark.parametrize("found", CATALOG.values(), ids=CATALOG.keys())
def test_an_entry_says_what_is_needed(found: Entry) -> None:
    assert CATALOG[found.name] is found
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", found.hub_id)
    assert re.fullmatch(r"[0-9a-f]{40}", found.revision), "pinned to a commit, not to a branch"
    assert found.tasks
    assert all(getattr(found, field.name) for field in fields(found))


@pytest.mark.parametrize("name", CATALOG)
def test_every_model_has_its_settings(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+", name), "a part of a variable's name, without the delimiter"
    assert Settings.model_fields[name].annotation is ModelSettings


def test_a_name_leads_to_its_entry() -> None:
    assert entry("blip").hub_id == "Salesforce/blip-image-captioning-base"
    assert entry_for("blip", Task.CAPTION) is entry("blip")


@pytest.mark.parametrize("name", ["", "BLIP", "blip ", "gpt"])
def test_an_unknown_name_is_told_the_choices(name: str) -> None:
    with pytest.raises(errors.UnknownModel) as caught:
        entry(name)
    assert caught.value.param == "model"
    assert caught.value.message == f"There is no model '{name}'. Choose one of: {', '.join(CATALOG)}."
    with pytest.raises(errors.UnknownModel):
        entry_for(name, Task.CAPTION)


def test_a_task_that_a_model_cannot_do_is_told_who_can(monkeypatch: pytest.MonkeyPatch) -> None:
    mute = Entry("mute", "Mute", "a/b", "0" * 40, "MIT", 1, frozenset())
    monkeypatch.setitem(catalog.CATALOG, "mute", mute)
    with pytest.raises(errors.TaskNotSupported) as caught:
        entry_for("mute", Task.CAPTION)
    assert caught.value.message == "The model 'mute' cannot caption. These can: blip."
    assert caught.value.param == "model"
