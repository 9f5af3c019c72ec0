"""Cache keys: everything that an answer depends on, and nothing else.

v1:img:{sha256 of the file}:{variant}                       one picture
v1:collection:{sha256 of the files' sha256s}:{variant}      a collective caption, or any question about several pictures
                                                            or about none
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

from looksee.core.images import PREPROCESSING
from looksee.core.tasks import Identity, Job, Task

PATTERNS = ("v1:img:*:*", "v1:collection:*:*")  # every key this service ever writes


def key(job: Job, digests: Sequence[str], identity: Identity) -> str | None:
    """The job's key. `digests`: the SHA-256 of each of its pictures, in hex, in the job's order.

    None if the answer cannot be cached: the fingerprint of the weights is not known, or sampling is not repeatable.
    """
    if identity.fingerprint is None or not job.sampling.repeatable:
        return None
    variant = {
        "model": identity.model,
        "weights": identity.fingerprint,
        "preprocessing": PREPROCESSING,
        "job": dict(_fields(job)),
    }
    canonical = json.dumps(variant, sort_keys=True, separators=(",", ":"), default=asdict)
    return f"v1:{_pictures(job.task, digests)}:{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"


def _fields(job: Job) -> Iterator[tuple[str, Any]]:
    """All fields but the pictures, so that a new one cannot be forgotten; one with its default value is left out, so
    that a new one changes no key of a job that does not use it.
    """
    for field in fields(job):
        value = job.sampling.effective if field.name == "sampling" else getattr(job, field.name)
        if field.name == "images" or value == field.default:
            continue
        if field.name == "stop":
            value = sorted(set(job.stop))  # the first of them to appear ends the answer, in whatever order they are
        yield field.name, value


def _pictures(task: Task, digests: Sequence[str]) -> str:
    if task is not Task.COLLECTIVE and len(digests) == 1:
        return f"img:{digests[0]}"
    return f"collection:{hashlib.sha256(''.join(digests).encode()).hexdigest()}"
