"""What the document shows of every route that answers for pictures: a request that works, and its answer."""

from __future__ import annotations

import json
from typing import Any

from looksee.core import errors
from looksee.core.images import ImageLimits, examine

# A scene as the sample weights know them: 160 x 160 pixels, and in the middle a red square of 48.
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAKAAAACgAQMAAACxAfVuAAAABlBMVEX////cKCi5uRl6AAAALUlEQVR42mNgGAWjYBSM"
    "gsEFGKH0f2QeEzaVo4KjgqOCQ11wFIyCUTAKBhsAAP8YAWC1mJIZAAAAAElFTkSuQmCC"
)
_SIZE = {"width": 160, "height": 160}
_BOX = {"x_min": 0.35, "y_min": 0.35, "x_max": 0.65, "y_max": 0.65, "confidence": 0.9987}
_POINT = {"x": 0.5, "y": 0.5, "confidence": 0.9985}


def _refusal(data: bytes) -> str:
    """What is said of a file that is no picture."""
    try:
        examine(data, ImageLimits(file_bytes=1000, pixels=1, smallest_side=1))
    except errors.UnsupportedImageType as error:
        return error.message
    raise AssertionError("it is one")


_WHOSE = {"finish_reason": "stop", "cache": False, "model": "gemma", "revision": "093f9f388b31", "weights": "sample"}
_FLAG = {"flagged": True, "flag_evaluated": True, "flag_confidence": 0.9999}
_CAPTIONED = {
    "filename": "sample.png",
    "caption": "a red square",
    "tags": ["red", "square", "red_square"],
    **_FLAG,
    **_WHOSE,
}
_FAILED = {
    "filename": "notes.txt",
    "error": {"code": "unsupported_image_type", "message": _refusal(b"notes")},
}
_COLLECTIVE = {
    "collective_caption": "a red square; a red square",
    "count": 2,
    "tags": ["red", "square", "red_square"],
    **_FLAG,
    **_WHOSE,
}
_SEVERAL = {"images": [PICTURE, PICTURE], "model": "gemma", "flag_caption_prompt": "Is there a square?"}

_MOONDREAM = {**_WHOSE, "model": "moondream", "revision": "9a7d40240508"}
_CAPTION = {"status": "success", "caption": "a red square", **_MOONDREAM}
_ANSWER = {"status": "success", "answer": "red", **_MOONDREAM}
_DETECTIONS = {
    "status": "success",
    "detections": [{"label": "square", **_BOX}],
    "count": 1,
    "image": _SIZE,
    **_MOONDREAM,
}
_POINTS = {
    "status": "success",
    "coordinates": {"points": [_POINT], "count": 1},
    "image": _SIZE,
    **_MOONDREAM,
}

_COMPLETION = {
    "id": "chatcmpl-5f1c0e6b9d2a47c8a1e3f405",
    "object": "chat.completion",
    "created": 1795219200,
    "model": "gemma",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "red", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 46, "completion_tokens": 3, "total_tokens": 49},
    "system_fingerprint": f"fp_{_WHOSE['revision']}",
    "cache": False,
    "revision": _WHOSE["revision"],
    "weights": "sample",
}
_SOURCE = {name: _WHOSE[name] for name in ("cache", "revision", "weights")}
_RESPONSE = {
    "id": "resp_5f1c0e6b9d2a47c8a1e3f405",
    "object": "response",
    "created_at": 1795219200.0,
    "completed_at": 1795219200.0,
    "status": "completed",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "model": "gemma",
    "output": [
        {
            "id": "msg_5f1c0e6b9d2a47c8a1e3f405",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "red", "annotations": [], "logprobs": []}],
        }
    ],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": False,
    "temperature": 0.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": {
        "input_tokens": 46,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 49,
    },
    "user": None,
    **_SOURCE,
}
_MESSAGE = {
    "id": "msg_5f1c0e6b9d2a47c8a1e3f405",
    "type": "message",
    "role": "assistant",
    "model": "gemma",
    "content": [{"type": "text", "text": "red", "citations": None}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 46,
        "output_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    },
    **_SOURCE,
}
_ID = "5f0c8e2d7b1a4c3d9e6f7a8b"
# The lines that answer the request below.
BATCH = "".join(
    json.dumps(line) + "\n"
    for line in (
        {"index": 1, "id": None, "status": 200, "answer": "red", **_MOONDREAM},
        {"index": 0, "id": "a.png", "status": 200, "caption": "a red square", **_MOONDREAM},
        {
            "index": 2,
            "id": "b.png",
            "status": 400,
            "error": {
                "code": "empty_file",
                "message": "The file is empty.",
                "type": "invalid_request_error",
                "param": "image",
                "request_id": _ID,
            },
        },
        {"done": True, "succeeded": 2, "failed": 1},
    )
)

_CLASSIFIED: dict[str, Any] = {
    "label": "red",
    "score": 0.999955,
    "labels": [
        {"label": "red", "score": 0.999955, "logprob": -4.5e-05},
        {"label": "blue", "score": 0.0, "logprob": -16.161674},
    ],
}

REQUESTS: dict[str, dict[str, Any]] = {
    "/caption": {"image": PICTURE, "length": "normal"},
    "/query": {"image": PICTURE, "question": "What color is the square?"},
    "/detect": {"image": PICTURE, "object": "square"},
    "/point": {"image": PICTURE, "object": "square"},
    "/classify": {"image": PICTURE, "labels": ["red", "blue"], "question": "What color is the square?"},
    "/caption_images": _SEVERAL,
    "/collective": _SEVERAL,
    "/v1/caption": {"image_url": PICTURE, "length": "normal"},
    "/v1/query": {"image_url": PICTURE, "question": "What color is the square?"},
    "/v1/detect": {"image_url": PICTURE, "object": "square"},
    "/v1/point": {"image_url": PICTURE, "object": "square"},
    "/v1/classify": {"image_url": PICTURE, "labels": ["red", "blue"], "question": "What color is the square?"},
    "/v1/chat/completions": {
        "model": "gemma",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What color is the square?"},
                    {"type": "image_url", "image_url": {"url": PICTURE}},
                ],
            }
        ],
    },
    "/v1/responses": {
        "model": "gemma",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What color is the square?"},
                    {"type": "input_image", "image_url": PICTURE},
                ],
            }
        ],
    },
    "/v1/messages": {
        "model": "gemma",
        "max_tokens": 100,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {
                            "type": "base64",
                            "media_type": "image/png",
                            "data": PICTURE.partition(",")[2],
                        },
                    },
                    {"type": "text", "text": "What color is the square?"},
                ],
            }
        ],
    },
    "/v1/batch": {
        "images": {"square": PICTURE},
        "items": [
            {"id": "a.png", "image": "square"},
            {"image": "square", "task": "query", "question": "What color is the square?"},
            {"id": "b.png", "image": ""},
        ],
    },
}
ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/caption": {"request_id": _ID, "caption": "a red square", **_MOONDREAM},
    "/v1/query": {"request_id": _ID, "answer": "red", **_MOONDREAM},
    "/v1/detect": {"request_id": _ID, "objects": [_BOX], **_MOONDREAM},
    "/v1/point": {"request_id": _ID, "points": [_POINT], **_MOONDREAM},
    "/caption": _CAPTION,
    "/query": _ANSWER,
    "/detect": _DETECTIONS,
    "/point": _POINTS,
    "/classify": {"status": "success", **_CLASSIFIED, **_MOONDREAM},
    "/upload/classify": {"status": "success", **_CLASSIFIED, **_MOONDREAM},
    "/v1/classify": {"request_id": _ID, **_CLASSIFIED, **_MOONDREAM},
    "/upload/caption": _CAPTION,
    "/upload/query": _ANSWER,
    "/upload/detect": _DETECTIONS,
    "/upload/point": _POINTS,
    "/caption_images": {"results": [{**_CAPTIONED, "filename": "images.0"}, {**_CAPTIONED, "filename": "images.1"}]},
    "/collective": _COLLECTIVE,
    "/api/caption-images": {"results": [_CAPTIONED, _FAILED]},
    "/api/caption-collective-images": _COLLECTIVE,
    "/v1/chat/completions": _COMPLETION,
    "/v1/responses": _RESPONSE,
    "/v1/messages": _MESSAGE,
}
