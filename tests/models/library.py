"""The library alone, as the truth that a model's rows are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.library import Library
from looksee.core.images import decode
from looksee.core.tasks import Job
from looksee.models.interface import Row
from looksee.models.registry import REGISTRY

# The models that the library has too.
MODELS = tuple(name for name, spec in REGISTRY.items() if ".transformers." in spec.model_class)


class LibraryAlone:
    """The library's processor and `generate` for a checkpoint, with a network of its own."""

    def __init__(self, name: str, directory: Path, model: Any) -> None:
        self.eos_ids: frozenset[int] = model.eos_ids
        self.library = Library(name, directory, max_tiles=getattr(model, "max_tiles", 1))

    def inputs(self, job: Job) -> dict[str, Any]:
        """What the library's processor makes of a job."""
        return self.library.inputs([decode(image) for image in job.images], job.prompt)

    def tokens(self, job: Job, row: Row) -> list[int]:
        """The new tokens, up to and with the one that ends the answer."""
        tokens = self.library.tokens([decode(image) for image in job.images], job.prompt, row.max_new_tokens)
        for place, token in enumerate(tokens):
            if token in self.eos_ids:
                return tokens[: place + 1]
        return tokens
