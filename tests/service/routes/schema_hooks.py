"""What schemathesis is told beside the document: what a picture is, and which good requests may be refused.

No schema can say that one member rules out another; schemathesis's own check that good requests are accepted knows no
exceptions, so this one stands in its place.
"""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis import Case, CheckContext, Response

from samples.world import scenes

RULED_OUT = {
    "model_not_ready",
    "task_not_supported",
    "unsupported_parameter",
    "picture_not_found",
    "model_not_found",
    "unknown_model",
}
# Members whose values depend on others', or on what the model's tokenizer makes of them.
BY_OTHERS = (
    *("length", "spatial_refs", "max_tokens", "stream_options", "settings", "messages", "items", "prompt"),
    *(
        "images",
        "response_format",
        "logit_bias",
        "tools",
        "tool_choice",
        "choices",
        "regex",
        "object",
        "text",
        "input",
        "output",
        "system",
        "stop_sequences",
        "top_logprobs",
        "labels",
        "language",
    ),
)
OF_PROGRAMS = ("text_prompt", "url")  # the same, at the routes of single programs


def _pictures() -> list[bytes]:
    found = []
    for number in range(4):
        rng = random.Random(f"schema:{number}")
        found.append(scenes.encode(scenes.draw(scenes.compose(rng, sides=(64, 120)), rng), rng))
    return found


_FILES = _pictures()
schemathesis.openapi.format(
    "picture", strategies.sampled_from(["data:image/png;base64," + base64.b64encode(data).decode() for data in _FILES])
)
schemathesis.openapi.format("binary", strategies.sampled_from(_FILES))


@schemathesis.check
def good_requests_are_answered(_: CheckContext, response: Response, case: Case[Any]) -> None:
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
        return
    told = json.loads(response.content)
    error = told if isinstance(told["error"], str) else told["error"]  # as some clients read it
    error = {"message": told["error"], **error, "code": told.get("reason", error["code"])}
    if error["code"] in RULED_OUT or (error["param"] or "").startswith((*BY_OTHERS, *OF_PROGRAMS)):
        return
    raise AssertionError(f"A good request was refused: {error['code']}, {error['message']}")
