"""X-AnyLabeling's remote server: its list of models, and predictions in pixels."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import pytest
from PIL import Image

from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from tests.http.app import Doors, error
from tests.support.files import plain
from tests.support.loops import run

URI = "data:image/png;base64," + base64.b64encode(plain()).decode()
WIDTH, HEIGHT = Image.open(io.BytesIO(plain())).size
# What the program sends whatever is asked.
ALWAYS = {"conf_threshold": 0.0, "iou_threshold": 0.0, "epsilon_factor": 0.001}


def predicted(doors: Doors, model: str = "moondream", **params: Any) -> httpx.Response:
    body = {"model": model, "image": URI, "params": {**ALWAYS, **params}}
    return doors.send("/x-anylabeling/v1/predict", json=body)


def data(answer: httpx.Response) -> dict[str, Any]:
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["success"]) == (200, True)
    return dict(told["data"])


def got(path: str) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(Doors().app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://looksee") as client:
            return await client.get(f"/x-anylabeling/v1/{path}")

    return run(main())


def test_the_models_and_what_each_can_do() -> None:
    models = data(got("models"))
    assert set(models) == set(REGISTRY)
    for name, model in models.items():
        tasks = {task["id"] for task in model["available_tasks"]}
        assert tasks == {str(task) for task in REGISTRY[name].tasks} - {str(Task.COLLECTIVE), str(Task.CLASSIFY)}
        assert model["display_name"]
        for task in model["available_tasks"]:
            # A text's field needs the button that sends it, and a batch of pictures has the same text.
            assert ("edit_text" in task["active_widgets"]) == ("button_send" in task["active_widgets"])
            assert ("edit_text" in task["active_widgets"]) == (task["batch_processing_mode"] == "text_prompt")
    assert data(got("models/blip/info")) == {"model_id": "blip", **models["blip"]}


def test_boxes_are_in_pixels_and_named() -> None:
    doors = Doors()
    found = data(predicted(doors, current_task="detect", text_prompt="circle, red square"))
    assert [shape["label"] for shape in found["shapes"]] == ["circle", "circle", "red square", "red square"]
    first = found["shapes"][0]
    assert first["shape_type"] == "rectangle"
    left, top, right, bottom = 0.25 * WIDTH, 0.5 * HEIGHT, 0.75 * WIDTH, 1.0 * HEIGHT
    assert first["points"] == [[left, top], [right, top], [right, bottom], [left, bottom]]
    assert "replace" not in found  # it is the user's to say
    (jobs,) = doors.calls("moondream")
    assert [job.prompt for job in jobs] == ["circle", "red square"]  # in one call


def test_points() -> None:
    found = data(predicted(Doors(), current_task="point", text_prompt="circle"))
    assert found["shapes"][0]["shape_type"] == "point"
    assert found["shapes"][0]["points"] == [[0.5 * WIDTH, 0.75 * HEIGHT]]


def test_texts_replace_no_shapes() -> None:
    nothing = {"shapes": [], "replace": False}
    assert data(predicted(Doors(), "blip", current_task="caption")) == {**nothing, "description": "a red circle"}
    asked = data(predicted(Doors(), "gemma", current_task="query", text_prompt="Is there a circle?"))
    assert asked == {**nothing, "description": "yes"}


def test_without_a_task_a_text_is_what_is_looked_for() -> None:
    assert data(predicted(Doors()))["description"] == "a red circle"
    assert data(predicted(Doors(), text_prompt="circle"))["shapes"]


@pytest.mark.parametrize(
    ("model", "params", "status", "code", "param"),
    [
        ("yolo", {}, 422, "unknown_model", "model"),
        ("blip", {"current_task": "detect", "text_prompt": "cat"}, 400, "task_not_supported", "model"),
        ("moondream", {"current_task": "segment"}, 422, "invalid_value", "current_task"),
        ("moondream", {"current_task": "detect", "text_prompt": " , "}, 422, "invalid_value", "text_prompt"),
        ("moondream", {"current_task": "query"}, 422, "invalid_value", "question"),
        ("moondream", {"marks": [{"type": "point", "data": [1, 2]}]}, 400, "unsupported_parameter", "marks"),
        ("moondream", {"filter_classes": ["cat"]}, 400, "unsupported_parameter", "filter_classes"),
        ("moondream", {"conf": 0.5}, 400, "unsupported_parameter", "params.conf"),
    ],
)
def test_what_is_refused(model: str, params: dict[str, Any], status: int, code: str, param: str) -> None:
    assert error(predicted(Doors(), model, **params)) == (status, code, param)


def test_empty_marks_and_filters_ask_for_nothing() -> None:
    assert data(predicted(Doors(), marks=[], filter_classes=[], reset_tracker=True))["description"]
