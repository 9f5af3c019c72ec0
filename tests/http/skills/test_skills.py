"""The table of skills: complete, and the one place that dialects take parameters and answers from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import pytest

import tests.http.app
from looksee.core import errors
from looksee.core.tasks import Answer, Job, Task
from looksee.http.dialects.batch.items import BatchDefaults, BatchItem
from looksee.http.inputs.sampling_fields import SamplingFields
from looksee.http.skills import SKILLS, CaptionSkill, DetectSkill, PointSkill, QuerySkill
from looksee.http.skills.detect import Detections
from looksee.http.skills.localization import FindForm, LocalizationSkill
from looksee.http.skills.skill import ContainerApi, TextSkill
from looksee.models.registry import REGISTRY
from looksee.settings import Settings
from tests.http.app import Doors
from tests.support.files import plain

SETTINGS = Settings.model_construct()


def test_every_task_has_a_skill_and_a_model_that_has_it() -> None:
    assert set(SKILLS) == set(Task)
    for task, skill in SKILLS.items():
        assert skill.task is task
        assert task in REGISTRY[skill.default_model].tasks
        assert skill.prompt_param in skill.parameters()


@pytest.mark.parametrize("task", [task for task, skill in SKILLS.items() if skill.container is not None])
def test_the_form_of_a_skill_has_only_its_parameters(task: Task) -> None:
    api = SKILLS[task].container
    assert api is not None
    assert api.form.model_fields.keys() - {"model"} <= SKILLS[task].parameters()


@pytest.mark.parametrize("task", Task)
def test_an_item_of_a_batch_may_have_what_its_skill_has(task: Task) -> None:
    skill = SKILLS[task]
    sampling = {"temperature", "top_p", "seed", *SamplingFields.model_fields}
    text = {"max_tokens", *sampling} if issubclass(skill, TextSkill) else set()
    for name in BatchDefaults.model_fields.keys() - {"task", "model"}:
        item = BatchItem.model_construct(_fields_set={name}, task=task)
        if name in skill.parameters() | text:
            item.check_own(task)
        else:
            with pytest.raises(errors.InvalidValue):
                item.check_own(task)


def test_new_tokens_are_checked_by_their_name_and_bounded_in_jobs() -> None:
    with pytest.raises(errors.InvalidValue) as refused:
        CaptionSkill(max_new_tokens=10**6).check("blip", SETTINGS)
    assert refused.value.param == "max_new_tokens"
    assert CaptionSkill(max_new_tokens=10**6).job("blip", [], SETTINGS).job.max_new_tokens == SETTINGS.max_new_tokens


def test_only_moondream_is_asked_about_places_and_without_a_picture() -> None:
    for skill, pictures in (
        (QuerySkill(question="Who?", spatial_refs=((0.5, 0.5),)), 1),
        (QuerySkill(question="?"), 0),
    ):
        skill.check("moondream", SETTINGS, pictures=pictures)
        with pytest.raises(errors.TaskNotSupported):
            skill.check("gemma", SETTINGS, pictures=pictures)


def test_an_object_is_asked_for_without_the_blanks_around_it() -> None:
    for kind in (DetectSkill, PointSkill):
        asked: Job = kind(object=" red square ").job("moondream", [], SETTINGS).job
        assert (asked.task, asked.prompt, asked.max_objects) == (kind.task, "red square", 50)


def test_a_further_skill_is_a_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its form, its batch items and its answers come from the row; no dialect names it."""

    @dataclass(frozen=True, kw_only=True)
    class CountSkill(LocalizationSkill):
        task: ClassVar[Task] = Task.DETECT
        container: ClassVar[ContainerApi | None] = ContainerApi("How many", FindForm, Detections)

        def members(self, answer: Answer, pictures: Any) -> dict[str, Any]:
            return {"found": len(answer.boxes), "of": self.label}

    monkeypatch.setitem(SKILLS, Task.DETECT, CountSkill)
    monkeypatch.setattr(tests.http.app, "_APPS", [])  # none of the apps that were built without it
    assert {field.name for field in fields(CountSkill)} == {"object", "objects", "max_objects", "threshold"}
    app = Doors()
    form = app.upload("detect", plain(), object="square").json()
    assert (form["status"], form["found"], form["of"]) == ("success", 2, "square")
