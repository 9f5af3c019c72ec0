"""The source of a model's weights: the bundled samples, the hub, or a directory; and the identity of the weights.

Each becomes a directory in the published layout, which the same code loads.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from looksee.core import errors
from looksee.core.tasks import Identity
from looksee.models.registry import REGISTRY
from looksee.models.weights import hub

SAMPLES = Path(__file__).parents[3] / "samples" / "weights"

_HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_HASHED_WHOLE = 64 * 2**20  # bytes; of larger files the size, modification time and both ends are hashed
_ENDS = 2**20
_TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """A parsed weights setting. `location` is a hub id for `hub`, else a directory."""

    model: str
    kind: Literal["sample", "hub", "local"]
    location: str
    revision: str = ""
    tokenizer: tuple[str, str] | None = None  # hub id and commit, for a checkpoint without one of its own

    def identity(self) -> Identity:
        """The identity that answers of these weights have, as far as it is known without a download."""
        if self.kind == "hub":
            directory = self._snapshot()
            commit = self.revision if hub.COMMIT.fullmatch(self.revision) else directory.name if directory else None
            # A branch's contents change: without a commit no answer may be cached.
            whole = commit and "@".join((self.location, commit, *(self.tokenizer or ())))
            return Identity(self.model, "hub", commit or self.revision, whole)
        directory = Path(self.location)
        fingerprint = _fingerprint(directory) if directory.is_dir() else None
        return Identity(self.model, self.kind, fingerprint[:12] if fingerprint else "missing", fingerprint)

    def directory(self, tell: hub.Tell = lambda here, total: None) -> Path:
        """The checkpoint's local directory, downloaded if need be. Blocks; raises WeightsUnavailable."""
        if self.kind == "hub":
            try:
                return self.fetch(tell)
            except hub.HubError as error:
                raise errors.WeightsUnavailable(
                    f"The weights of '{self.model}' could not be fetched. {error} Instead, {_setting(self.model)} may "
                    "name a directory with the checkpoint, and LOOKSEE_WEIGHTS=sample runs the bundled sample weights.",
                    retry_after=30,
                ) from error
        directory = self.fetched()
        if directory is None:
            raise errors.WeightsUnavailable(
                f"The weights of '{self.model}' are not where {_setting(self.model)} says; set it to a hub id, to a "
                "directory with a checkpoint, or to 'sample'.",
                retry_after=30,
            )
        return directory

    def fetched(self) -> Path | None:
        """The checkpoint's local directory if it is complete, else None. Makes no request."""
        if self.kind == "hub":
            if self.tokenizer and hub.fetched_file(*self.tokenizer, _TOKENIZER) is None:
                return None
            return hub.fetched(self.location, self.revision)
        directory = Path(self.location)
        return directory if (directory / "config.json").is_file() else None

    def context(self) -> int | None:
        """Positions of prompt and answer together; None while only the checkpoint says it, and it is not here."""
        published = REGISTRY[self.model]
        if self.kind == "hub" and self.location == published.hub_id:
            return published.context
        directory = self._snapshot() if self.kind == "hub" else Path(self.location)
        file = directory / "config.json" if directory else None
        if file is None or not file.is_file():
            return None
        written = _positions(file, file.stat().st_mtime_ns)  # some are only where they differ from a default
        return written or published.context

    def fetch(self, tell: hub.Tell = lambda here, total: None) -> Path:
        """Download what is missing of a hub's checkpoint. Blocks; raises HubError."""
        if self.tokenizer:
            hub.fetch_file(*self.tokenizer, _TOKENIZER)
        return hub.fetch(self.location, self.revision, tell)

    def files(self) -> dict[str, Path]:
        """Arguments of the model's class beside the directory: files that are elsewhere."""
        found = hub.fetched_file(*self.tokenizer, _TOKENIZER) if self.tokenizer else None
        return {"tokenizer": found} if found else {}

    def _snapshot(self) -> Path | None:
        """The revision's directory in the hub client's cache, complete or not; its name is the commit."""
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            config = try_to_load_from_cache(self.location, "config.json", revision=self.revision)
        except HFValidationError:
            return None
        return Path(config).parent if isinstance(config, str) else None


def resolve(model: str, default: str, own: str) -> WeightsSource:
    """Parse `LOOKSEE_WEIGHTS` (`hub` or `sample`) and the model's `LOOKSEE_<MODEL>_WEIGHTS`, which has precedence."""
    choice = own or default
    if choice == "sample":
        return WeightsSource(model, "sample", str(SAMPLES / model))
    if choice == "hub":
        published = REGISTRY[model]
        return WeightsSource(model, "hub", published.hub_id, published.revision, published.tokenizer)
    if Path(choice).is_dir() or choice.startswith(("/", ".", "~")):
        return WeightsSource(model, "local", str(Path(choice).expanduser().resolve()))
    named = _HUB_ID.fullmatch(choice)
    if named is None:
        return WeightsSource(model, "local", str(Path(choice).resolve()))
    published = REGISTRY[model]
    pinned = published.revision if named["id"] == published.hub_id else "main"
    return WeightsSource(model, "hub", named["id"], named["revision"] or pinned, published.tokenizer)


@functools.lru_cache(16)
def _positions(config: Path, _: int) -> int | None:
    """The positions that a configuration names: transformers', or Moondream's own. Read again once it has changed."""
    try:
        content = json.loads(config.read_bytes())
    except (OSError, ValueError):
        return None
    for names in (("text_config", "max_position_embeddings"), ("config", "text", "max_context")):
        found = content
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, int):
            return found
    return None


def _setting(model: str) -> str:
    return f"LOOKSEE_{model.upper()}_WEIGHTS"


def _fingerprint(directory: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in directory.iterdir() if path.is_file() and path.suffix != ".md"):
        facts = file.stat()
        digest.update(f"{file.name}:{facts.st_size}:".encode())
        with file.open("rb") as content:
            if facts.st_size <= _HASHED_WHOLE:
                digest.update(content.read())
            else:
                digest.update(str(facts.st_mtime_ns).encode())
                digest.update(content.read(_ENDS))
                content.seek(-_ENDS, 2)
                digest.update(content.read())
    return digest.hexdigest()
