"""The catalogue of models."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields

import pytest

from looksee.core import errors
from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY, ModelSpec, offer_for
from looksee.models.registry.options import ModelSettings


@pytest.mark.parametrize("found", REGISTRY.values(), ids=REGISTRY.keys())
def test_an_entry_says_what_is_needed(found: ModelSpec) -> None:
    assert REGISTRY[found.name] is found
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", found.hub_id)
    assert re.fullmatch(r"[0-9a-f]{40}", found.revision), "pinned to a commit, not to a branch"
    assert found.tasks
    may_be_empty = {field.name for field in fields(found) if field.default is not MISSING} | {"gated"}
    assert all(getattr(found, field.name) for field in fields(found) if field.name not in may_be_empty)
    if found.tokenizer:
        repository, commit = found.tokenizer
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", repository)
        assert re.fullmatch(r"[0-9a-f]{40}", commit)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_model_has_its_settings(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9_]+", name), "a part of a variable's name"
    assert issubclass(REGISTRY[name].settings, ModelSettings)


def test_a_name_leads_to_its_entry() -> None:
    assert offer_for("blip", Task.CAPTION) is REGISTRY["blip"]


@pytest.mark.parametrize("name", ["", "BLIP9", "blip-3", "gpt"])
def test_an_unknown_name_is_told_the_choices(name: str) -> None:
    with pytest.raises(errors.UnknownModel) as caught:
        offer_for(name, Task.CAPTION)
    assert caught.value.param == "model"
    assert caught.value.message == f"There is no model '{name}'. Choose one of: {', '.join(REGISTRY)}."


@pytest.mark.parametrize(
    ("name", "task", "able"),
    [
        ("blip", Task.QUERY, "blip2, gemma, intern_vlm, moondream"),
        ("gemma", Task.DETECT, "moondream"),
        ("blip2", Task.POINT, "moondream"),
        ("moondream", Task.COLLECTIVE, "gemma, intern_vlm"),
        ("blip", Task.COLLECTIVE, "gemma, intern_vlm"),
        ("blip2", Task.COLLECTIVE, "gemma, intern_vlm"),
    ],
)
def test_a_task_that_a_model_cannot_do_is_told_who_can(name: str, task: Task, able: str) -> None:
    with pytest.raises(errors.TaskNotSupported) as caught:
        offer_for(name, task)
    assert caught.value.message == f"The model '{name}' has no task '{task}'. These have it: {able}."
    assert caught.value.param == "model"


def test_what_each_model_can_do() -> None:
    assert {name: sorted(found.tasks) for name, found in REGISTRY.items()} == {
        "blip": ["caption"],
        "blip2": ["caption", "classify", "query"],
        "gemma": ["caption", "classify", "collective", "query"],
        "intern_vlm": ["caption", "classify", "collective", "query"],
        "moondream": ["caption", "classify", "detect", "point", "query"],
    }
