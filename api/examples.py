"""What the document shows of every route that answers for pictures: a request that works, and its answer."""

from __future__ import annotations

from typing import Any

# A red square of 16 x 16 pixels.
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQMAAAAlPW0iAAAABlBMVEX////cKCi5uRl6AAAAFElEQVR42mNgQAL8H5gY"
    "GDARMgAAI20BDofI/jkAAAAASUVORK5CYII="
)
_WHOSE = {"cache": False, "model": "gemma", "revision": "093f9f388b31", "weights": "sample"}
_FLAG = {"flagged": True, "flag_evaluated": True}
_CAPTIONED = {
    "filename": "sample.png",
    "caption": "a red square",
    "tags": ["red", "square", "red_square"],
    **_FLAG,
    **_WHOSE,
}
_FAILED = {
    "filename": "notes.txt",
    "error": {"code": "unsupported_image_type", "message": "The file is not a JPEG, PNG or WebP picture."},
}
_COLLECTIVE = {
    "collective_caption": "a red square; a blue circle",
    "count": 2,
    "tags": ["red", "square", "blue", "circle", "red_square", "blue_circle"],
    **_FLAG,
    **_WHOSE,
}
_SEVERAL = {"images": [PICTURE, PICTURE], "model": "gemma", "flag_caption_prompt": "Is there a square?"}

_MOONDREAM = {**_WHOSE, "model": "moondream", "revision": "9a7d40240508"}
_CAPTION = {"status": "success", "caption": "a red square", **_MOONDREAM}
_ANSWER = {"status": "success", "answer": "red", **_MOONDREAM}
_DETECTIONS = {
    "status": "success",
    "detections": [{"label": "square", "x_min": 0.25, "y_min": 0.25, "x_max": 0.75, "y_max": 0.75}],
    "count": 1,
    "image": {"width": 16, "height": 16},
    **_MOONDREAM,
}
_POINTS = {
    "status": "success",
    "coordinates": {"points": [{"x": 0.5, "y": 0.5}], "count": 1},
    "image": {"width": 16, "height": 16},
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

REQUESTS: dict[str, dict[str, Any]] = {
    "/caption": {"image": PICTURE, "length": "normal"},
    "/query": {"image": PICTURE, "question": "What color is the square?"},
    "/detect": {"image": PICTURE, "object": "square"},
    "/point": {"image": PICTURE, "object": "square"},
    "/caption_images": _SEVERAL,
    "/collective": _SEVERAL,
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
}
ANSWERS: dict[str, dict[str, Any]] = {
    "/caption": _CAPTION,
    "/query": _ANSWER,
    "/detect": _DETECTIONS,
    "/point": _POINTS,
    "/upload/caption": _CAPTION,
    "/upload/query": _ANSWER,
    "/upload/detect": _DETECTIONS,
    "/upload/point": _POINTS,
    "/caption_images": {"results": [{**_CAPTIONED, "filename": "images.0"}, {**_CAPTIONED, "filename": "images.1"}]},
    "/collective": _COLLECTIVE,
    "/api/caption-images": {"results": [_CAPTIONED, _FAILED]},
    "/api/caption-collective-images": _COLLECTIVE,
    "/v1/chat/completions": _COMPLETION,
}
