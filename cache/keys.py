"""Cache keys: everything that an answer depends on, and nothing else.

v1:img:{sha256 of the file}:{variant}                       one picture
v1:collection:{sha256 of the files' sha256s}:{variant}      a collective caption, or any question about several pictures
                                                            or about none
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from looksee.core.images import PREPROCESSING
from looksee.core.tasks import Identity, Job, Task

PATTERNS = ("v1:img:*:*", "v1:collection:*:*")  # every key this service ever writes

_OPTIONAL_FIELDS = ("length", "spatial_refs", "reasoning", "max_objects")  # in the key unless they are the default
_DEFAULTS = Job(Task.CAPTION, ())


def key(job: Job, digests: Sequence[str], identity: Identity) -> str | None:
    """The job's key. `digests`: the SHA-256 of each of its pictures, in hex, in the job's order.

    None if the answer cannot be cached: the fingerprint of the weights is not known, or sampling is not repeatable.
    """
    if identity.fingerprint is None or not job.sampling.repeatable:
        return None
    variant: dict[str, Any] = {
        "model": identity.model,
        "weights": identity.fingerprint,
        "task": job.task,
        "prompt": job.prompt,
        "max_new_tokens": job.max_new_tokens,
        "preprocessing": PREPROCESSING,
    }
    if job.sampling.temperature > 0:  # greedy answers depend on no other sampling parameter
        variant["sampling"] = asdict(job.sampling)
    variant |= {name: getattr(job, name) for name in _OPTIONAL_FIELDS if getattr(job, name) != getattr(_DEFAULTS, name)}
    if job.turns:
        variant["turns"] = [asdict(turn) for turn in job.turns]
    if job.stop:  # their order has no effect
        variant["stop"] = sorted(set(job.stop))
    canonical = json.dumps(variant, sort_keys=True, separators=(",", ":"))
    return f"v1:{_pictures(job.task, digests)}:{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"


def _pictures(task: Task, digests: Sequence[str]) -> str:
    if task is not Task.COLLECTIVE and len(digests) == 1:
        return f"img:{digests[0]}"
    return f"collection:{hashlib.sha256(''.join(digests).encode()).hexdigest()}"
