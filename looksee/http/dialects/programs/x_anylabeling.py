"""What X-AnyLabeling asks of its remote server, under `/x-anylabeling`: captions, answers, boxes and points.

The program is told of each model which tasks it has, and which of its widgets each needs; it sends what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from looksee.core import errors
from looksee.core.images import Picture
from looksee.core.tasks import Task
from looksee.gateway.answering import ServedAnswer
from looksee.http import error_params
from looksee.http.context import ContextFactory, RequestContext
from looksee.http.inputs import bodies, model_path, parameters, uploads
from looksee.http.skills import CaptionSkill, DetectSkill, PointSkill, QuerySkill, Skill
from looksee.models.registry import ModelSpec, offer_for, served

_PREFIX = "/x-anylabeling/v1"
MODELS = f"{_PREFIX}/models/"  # what stands before a model's name in a path
_MOST_NAMES = 50  # of things that are looked for in one picture
_SEPARATORS = re.compile(r"[,.;\n]")
_RUN: dict[str, Any] = {"button_run": {}, "toggle_preserve_existing_annotations": {}}
_ASKED: dict[str, Any] = {"button_send": {}, "toggle_preserve_existing_annotations": {}}
# By task: its name in the program, what its text is, and how many pictures are gone through at once: without a
# question, with the same text for each.
_TASKS: dict[Task, dict[str, Any]] = {
    Task.CAPTION: {"name": "Caption", "batch_processing_mode": "default", "active_widgets": _RUN},
    Task.QUERY: {
        "name": "Question",
        "batch_processing_mode": "text_prompt",
        "active_widgets": {"edit_text": {"placeholder": "a question"}, **_ASKED},
    },
    Task.DETECT: {
        "name": "Boxes",
        "batch_processing_mode": "text_prompt",
        "active_widgets": {"edit_text": {"placeholder": "things, separated by commas"}, **_ASKED},
    },
    Task.POINT: {
        "name": "Points",
        "batch_processing_mode": "text_prompt",
        "active_widgets": {"edit_text": {"placeholder": "things, separated by commas"}, **_ASKED},
    },
}


class PredictParams(BaseModel):
    """What the program's widgets hold."""

    current_task: str | None = Field(
        None,
        description="an id of the model's `available_tasks`; without one by whether there is a text",
        json_schema_extra={"enum": [str(task) for task in _TASKS]},
    )
    text_prompt: str = Field("", description="the question, or things that are looked for, separated by commas")
    conf_threshold: float = Field(0.0, ge=0, le=1, description="without effect on what has no `score`")
    iou_threshold: float | None = Field(None, description="without effect: nothing is found twice")
    epsilon_factor: float | None = Field(None, description="without effect: there are no outlines")
    reset_tracker: bool | None = Field(None, description="without effect: nothing is tracked")
    marks: list[dict[str, Any]] | None = Field(None, max_length=1024, description="must be empty")
    filter_classes: list[str] | None = Field(None, max_length=1024, description="must be empty")

    def check(self) -> None:
        """Raises UnsupportedParameter."""
        for name in ("marks", "filter_classes"):
            if getattr(self, name):
                raise errors.UnsupportedParameter(
                    f"'{name}' are not supported: the models are asked by words.", param=name
                )


class PredictBody(BaseModel):
    """`POST /x-anylabeling/v1/predict`."""

    model_config = ConfigDict(protected_namespaces=())

    model: str = Field(**parameters.model(Task.CAPTION))
    image: str = Field(description="a data URI or base64", json_schema_extra=parameters.PICTURE)
    params: PredictParams = PredictParams()


def router(contexts: ContextFactory) -> APIRouter:
    """The routes."""
    settings = contexts.settings
    routes = APIRouter(prefix=_PREFIX, tags=["x-anylabeling"])

    @routes.get("/models", summary="The models on offer, for X-AnyLabeling")
    async def models() -> dict[str, Any]:
        """`{"success": true, "data": {model: {"display_name", "available_tasks", ...}}}`"""
        return {"success": True, "data": {name: _described(entry) for name, entry in served().items()}}

    @routes.get(f"/models/{model_path.MODEL}/info", summary="One model, for X-AnyLabeling")
    async def info(name: model_path.Name) -> dict[str, Any]:
        """What the list has of it, and `model_id`."""
        return {"success": True, "data": {"model_id": name, **_described(served()[model_path.checked(name)])}}

    @routes.post(
        "/predict", summary="What a picture shows, for X-AnyLabeling", openapi_extra=bodies.described(PredictBody)
    )
    async def predict(request: Request) -> dict[str, Any]:
        """`{"success": true, "data": {"shapes": [{"label", "shape_type", "points"}], "description"}}`: rectangles or
        points in pixels of the upright picture, or a text.
        """
        context, body = contexts.of(request.receive), await bodies.read(request, PredictBody, settings)
        return {"success": True, "data": await _predicted(context, body)}

    return routes


def _described(entry: ModelSpec) -> dict[str, Any]:
    tasks = [{"id": str(task), **shown} for task, shown in _TASKS.items() if task in entry.tasks]
    return {
        "display_name": f"Looksee: {entry.title}",
        "widgets": [{"name": "remote_task_select_combobox", "value": None}],
        "params": {},
        "capabilities": {},
        "batch_processing_mode": "default",
        "available_tasks": tasks,
    }


async def _predicted(context: RequestContext, body: PredictBody) -> dict[str, Any]:
    body.params.check()
    task = _task(body.params)
    model = offer_for(body.model, task).name
    skills = _skills(task, body.params.text_prompt)
    for skill in skills:
        skill.check(model, context.settings)
    picture = await uploads.picture(body.image, context, param="image")
    found = await context.answers(model, [skill.job(model, [picture], context.settings) for skill in skills])
    shapes: list[dict[str, Any]] = []
    texts = []
    for skill, result in zip(skills, found, strict=True):
        result = error_params.for_prompt(result, "text_prompt")
        if not isinstance(result, ServedAnswer):
            raise result
        if isinstance(skill, DetectSkill | PointSkill):
            shapes += _shapes(skill, result, picture, body.params.conf_threshold)
        else:
            texts.append(result.answer.text)
    if not texts:
        return {"shapes": shapes, "description": ""}
    # A text about a picture replaces no shapes.
    return {"shapes": [], "description": texts[0], "replace": False}


def _task(params: PredictParams) -> Task:
    if params.current_task is None:
        return Task.DETECT if params.text_prompt.strip() else Task.CAPTION
    if params.current_task not in list(_TASKS):
        raise errors.InvalidValue(f"'current_task' must be one of: {', '.join(_TASKS)}.", param="current_task")
    return Task(params.current_task)


def _skills(task: Task, text: str) -> list[Skill]:
    """What is asked: a thing that is looked for is a question of its own."""
    if task is Task.CAPTION:
        return [CaptionSkill()]
    if task is Task.QUERY:
        return [QuerySkill(question=text)]
    names = list(dict.fromkeys(filter(None, (name.strip() for name in _SEPARATORS.split(text)))))
    if not names:
        raise errors.InvalidValue("'text_prompt' must name what is to be found.", param="text_prompt")
    if len(names) > _MOST_NAMES:
        raise errors.InvalidValue(f"'text_prompt' has {len(names)} names; at most {_MOST_NAMES}.", param="text_prompt")
    kind: Callable[..., Skill] = DetectSkill if task is Task.DETECT else PointSkill
    return [kind(object=name) for name in names]


def _shapes(
    skill: DetectSkill | PointSkill, served_answer: ServedAnswer, picture: Picture, least: float
) -> list[dict[str, Any]]:
    """As the program keeps them: a rectangle has four corners."""
    (members,) = skill.members(served_answer.answer, [picture]).values()
    found = []
    for one in members:
        if one.get("confidence", 1.0) < least:
            continue
        if isinstance(skill, DetectSkill):
            left, top, right, bottom = (one[name] for name in ("x_min", "y_min", "x_max", "y_max"))
            kind, corners = "rectangle", [(left, top), (right, top), (right, bottom), (left, bottom)]
        else:
            kind, corners = "point", [(one["x"], one["y"])]
        shape = {"label": skill.label, "shape_type": kind, "points": _pixels(corners, picture)}
        found.append(shape | ({"score": one["confidence"]} if "confidence" in one else {}))
    return found


def _pixels(corners: Sequence[tuple[float, float]], picture: Picture) -> list[list[float]]:
    return [[round(x * picture.width, 2), round(y * picture.height, 2)] for x, y in corners]
