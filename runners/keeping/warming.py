"""The first answer of a model that was just loaded, to nobody: libraries choose kernels, start threads and allocate
memory when they first run, and a caller would wait for that.

It goes around the engine's queue: no row is counted, no answer is stored, and no request is seen anywhere.
"""

from __future__ import annotations

import functools
import io
import logging
import time
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw

from looksee.core import errors
from looksee.core.tasks import Job, Task
from looksee.models.interface import Model, Row
from looksee.models.registry import prompts

logger = logging.getLogger("looksee.runner")

_SIZE = (640, 480)
_TOKENS = 8  # of the first answer; a second row joins it
_WORDS = "a picture of"  # that a model goes on from which takes no instruction


def warm_up(name: str, model: Model[Any, Any]) -> None:
    """Have `model` caption a drawn picture, with every verb that a request needs. In the thread that calls its verbs.

    Raises WeightsUnavailable for a model that gives no answer, and what the verbs raise.
    """
    started = time.monotonic()
    try:
        _answer(model, drawn_job(name))
    except errors.LookseeError as error:
        raise errors.WeightsUnavailable(
            f"The weights of '{name}' were loaded, but gave no answer about a drawn picture: {error.message}"
        ) from None
    logger.info("warmed up %s in %.1f s", name, time.monotonic() - started)


def drawn_job(name: str) -> Job:
    """What it is asked: to caption the picture, as a request without a prompt would."""
    return Job(Task.CAPTION, (_drawing(),), prompts.caption(name) or _WORDS, _TOKENS)


def _answer(model: Model[Any, Any], job: Job) -> None:
    first, second = model.prepare(job), model.prepare(job)
    batch = model.prefill([first])
    _step(model, batch, [first])
    if first.finish is None:
        batch = model.add_rows(batch, model.prefill([second]))
        while first.finish is None:
            _step(model, batch, [first, second])
        if second.finish is None:
            _step(model, model.keep_rows(batch, [1]), [second])
    model.answer(first)


def _step(model: Model[Any, Any], batch: Any, rows: Sequence[Row]) -> None:
    model.step(batch)
    model.sample(batch)
    for row in rows:
        if row.error is not None:
            raise row.error


@functools.cache
def _drawing() -> bytes:
    """The file of the picture: shapes on a ground, in the size and format of many pictures."""
    picture = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((60, 80, 260, 280), "crimson")
    draw.rectangle((330, 200, 580, 420), "royalblue")
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return file.getvalue()
