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

REQUESTS: dict[str, dict[str, Any]] = {
    "/caption": {"image": PICTURE, "model": "blip", "prompt": "a photo of"},
    "/query": {"image": PICTURE, "question": "What color is the square?", "model": "gemma"},
    "/caption_images": _SEVERAL,
    "/collective": _SEVERAL,
}
ANSWERS: dict[str, dict[str, Any]] = {
    "/caption": {"status": "success", "caption": "a red square", **_WHOSE, "model": "blip"},
    "/query": {"status": "success", "answer": "red", **_WHOSE},
    "/caption_images": {"results": [{**_CAPTIONED, "filename": "images.0"}, {**_CAPTIONED, "filename": "images.1"}]},
    "/collective": _COLLECTIVE,
    "/api/caption-images": {"results": [_CAPTIONED, _FAILED]},
    "/api/caption-collective-images": _COLLECTIVE,
}
