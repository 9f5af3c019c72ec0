"""One file through the decoding as the service does it: the gateway's look at it, then the runner's picture."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from looksee.core import errors
from looksee.core.images import ImageLimits, decode, examine
from tools.fuzz.damage import BEHIND, CUT, Damaged

LIMITS = ImageLimits(file_bytes=10 * 2**20, pixels=2_000_000, smallest_side=3)
# Calls of functions for a look and a picture, beside one for each byte: a sound small file takes some thousand.
MOST_CALLS = 200_000
MOST_SECONDS = 20.0  # of a processor; a look at a clock, for what does its work below Python


class BadOutcome(Exception):
    """What may not come of any file."""


@dataclass(frozen=True)
class Outcome:
    """What came of a file: the code of the error, or empty and the picture's pixels."""

    code: str
    pixels: bytes = b""
    seconds: float = 0.0


class _TooMuch(BaseException):
    """No handler of errors catches it."""


def judged(data: bytes, *, seconds: float = MOST_SECONDS) -> Outcome:
    """Raises BadOutcome for any other error than the contract's, a picture that is not as it was announced, work
    without bounds, and a warning.
    """
    began = time.thread_time()
    with warnings.catch_warnings(record=True) as caught, _bounded(MOST_CALLS + len(data)):
        warnings.filterwarnings("ignore", module=r"PIL\.")  # as the decoding does in its process
        outcome = _outcome(data)
    took = time.thread_time() - began
    if caught:
        raise BadOutcome(f"a warning: {caught[0].message}")
    if took > seconds:
        raise BadOutcome(f"{took:.0f} seconds of work")
    return Outcome(outcome.code, outcome.pixels, took)


def check(file: Damaged) -> Outcome:
    """What comes of a file. Raises BadOutcome."""
    with silence():
        outcome = judged(file.data)
    whole = file.rule in (CUT, BEHIND)
    if whole and not outcome.code and outcome.pixels not in file.seed.pixels:
        raise BadOutcome("a part of the picture is missing, and it is told as whole")
    if file.rule == BEHIND and outcome.code:
        raise BadOutcome(f"bytes behind the picture spoil it: {outcome.code}")
    return outcome


def _outcome(data: bytes) -> Outcome:
    try:
        told = examine(data, LIMITS)
    except errors.LookseeError as error:
        if not 400 <= error.status < 500 or not error.message:
            raise BadOutcome(f"{error.status} {error.code}") from error
        return Outcome(error.code)
    except Exception as error:
        raise BadOutcome(f"the gateway's look raises {error!r}") from error
    try:
        image = decode(data)
    except errors.CorruptImage as error:
        return Outcome(error.code)
    except Exception as error:
        raise BadOutcome(f"the decoding raises {error!r}") from error
    if image.mode != "RGB" or image.size != (told.width, told.height):
        raise BadOutcome(f"{image.mode}, {image.size} of a picture of {told.width} x {told.height}")
    return Outcome("", image.tobytes())


@contextlib.contextmanager
def _bounded(most: int) -> Iterator[None]:
    """End what calls functions again and again; calls are counted, so that a busy machine changes nothing."""
    left = most

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            sys.setprofile(None)
            raise _TooMuch

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    except _TooMuch:
        raise BadOutcome(f"more than {most} calls") from None
    finally:
        sys.setprofile(before)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Raises BadOutcome where a library writes to the standard error itself, past Python."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        written.seek(0)
        if text := written.read(500):
            raise BadOutcome(f"written to the standard error: {text!r}")
