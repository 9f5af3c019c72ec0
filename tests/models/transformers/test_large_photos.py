"""What models say about large photos, which they decode smaller, is what they say about the same pixels in a PNG."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from PIL import Image

from looksee.core import images
from looksee.core.tasks import Job, Task
from looksee.models.loading import load
from looksee.models.registry import prompts
from looksee.models.weights.source import SAMPLES
from tests.models.mixing import decode_mixed
from tests.support import pictures

COUNT = 6


def enlarged(number: int, kind: str) -> bytes:
    """A drawn scene of sixteen times its pixels; as a PNG with the losses that it has as a JPEG."""
    scene = Image.open(io.BytesIO(pictures.scene(f"large {number}")[0])).convert("RGB")
    large = scene.resize((scene.width * 4, scene.height * 4), Image.Resampling.BICUBIC)
    file, again = io.BytesIO(), io.BytesIO()
    large.save(file, "JPEG", quality=92)
    if kind == "JPEG":
        return file.getvalue()
    Image.open(file).save(again, "PNG", compress_level=1)
    return again.getvalue()


@pytest.mark.parametrize("name", ["blip", "blip2", "gemma", "intern_vlm"])
def test_they_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = load(name, SAMPLES / name, device="cpu", dtype="float32")
    sizes: list[tuple[int, int]] = []
    decode = images.decode

    def noted(*arguments: Any, **options: Any) -> Image.Image:
        image = decode(*arguments, **options)
        sizes.append(image.size)
        return image

    monkeypatch.setattr(images, "decode", noted)
    said = {}
    for kind in ("JPEG", "PNG"):
        jobs = [Job(Task.CAPTION, (enlarged(number, kind),), prompts.caption(name), 16) for number in range(COUNT)]
        rows = [model.prepare(job) for job in jobs]
        decode_mixed(model, rows, random.Random(1))
        said[kind] = [model.text(row) for row in rows]
    assert said["JPEG"] == said["PNG"]
    assert len(set(said["PNG"])) > COUNT // 2
    smaller, whole = sizes[:COUNT], sizes[COUNT:]
    if name == "intern_vlm":  # whose tiles follow from a picture's size
        assert smaller == whole
    else:
        assert all(2 * one[0] <= other[0] + 1 for one, other in zip(smaller, whole, strict=True))
