"""Cache keys: everything an answer depends on, and nothing else.

v1:img:{sha256 of the file}:{variant}
"""

from __future__ import annotations

import hashlib
import json

from vision.images import PREPROCESSING
from vision.tasks import Identity, Job

PATTERNS = ("v1:img:*:*", "v1:collection:*:*")  # every key this service ever writes


def key(job: Job, digest: str, identity: Identity) -> str | None:
    """The job's key; None when it is not known whose weights would answer. `digest` is the picture's sha256 in hex."""
    if identity.fingerprint is None:
        return None
    variant = {
        "model": identity.model,
        "weights": identity.fingerprint,
        "task": job.task,
        "prompt": job.prompt,
        "max_new_tokens": job.max_new_tokens,
        "preprocessing": PREPROCESSING,
    }
    canonical = json.dumps(variant, sort_keys=True, separators=(",", ":"))
    return f"v1:img:{digest}:{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"
