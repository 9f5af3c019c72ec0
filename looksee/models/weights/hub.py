"""Checkpoints on the Hugging Face hub: downloaded whole, verified, and resumed where an earlier download ended.

huggingface_hub 2.4 downloads each file under a name of its own process and deletes it on failure, so an interrupted
download starts again: hours, for a file of ten gigabytes. Large files are therefore downloaded here, to where that
client's cache has them, and the client does the rest.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO

logger = logging.getLogger("looksee.hub")

Tell = Callable[[int, int], None]  # progress: bytes present, bytes in total

COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SMALL = ["*.json", "*.txt", "*.jinja", "*.model"]
_SAFE, _PICKLED = "*.safetensors", "pytorch_model*.bin"
_CHUNK = 2**20
_PATIENCE = 5  # attempts in a row without a new byte


class HubError(Exception):
    """A checkpoint could not be downloaded. The message says what its reader can do."""


@dataclass(frozen=True, slots=True)
class LargeFile:
    """A file in the hub's large-file storage. `size` is in bytes; `sha256` is also its name in the cache."""

    name: str
    size: int
    sha256: str


def fetched(repository: str, revision: str) -> Path | None:
    """The directory of a checkpoint that is completely in the local cache, else None. Makes no request."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        for weights in (_SAFE, _PICKLED):  # some older repositories have pickles only
            found = snapshot_download(
                repository, revision=revision, allow_patterns=[*_SMALL, weights], local_files_only=True
            )
            if _has_weights(Path(found), weights):
                return Path(found)
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    return None


def fetch(repository: str, revision: str, tell: Tell = lambda here, total: None) -> Path:
    """The directory of a checkpoint, downloaded if need be. Blocks; raises HubError."""
    here = fetched(repository, revision)
    return _up_to_date(repository, revision, here, lambda: _fetch(repository, revision, tell))


def fetched_file(repository: str, revision: str, name: str) -> Path | None:
    """One small file of a repository if it is in the local cache, else None. Makes no request."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name, revision=revision)
    return Path(found) if isinstance(found, str) else None


def fetch_file(repository: str, revision: str, name: str) -> Path:
    """One small file of a repository, downloaded if need be. Blocks; raises HubError."""
    from huggingface_hub import hf_hub_download

    here = fetched_file(repository, revision, name)
    return _up_to_date(repository, revision, here, lambda: Path(hf_hub_download(repository, name, revision=revision)))


def _up_to_date(repository: str, revision: str, here: Path | None, get: Callable[[], Path]) -> Path:
    """`here`, where it cannot have changed or the hub cannot be reached, else what `get` downloads."""
    if here is not None and COMMIT.fullmatch(revision):  # a branch may have moved
        return here
    try:
        return get()
    except HubError:
        raise
    except Exception as error:  # the hub client raises its own, its HTTP library's and the system's errors
        sentence, unreachable = _explained(error, repository, revision)
        if unreachable and here is not None:
            logger.warning("%s Using what was fetched of %s before.", sentence, repository)
            return here
        logger.warning("fetching %s at %s failed", repository, revision, exc_info=error)
        raise HubError(sentence) from error


def _fetch(repository: str, revision: str, tell: Tell) -> Path:
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.file_download import repo_folder_name

    published = HfApi().model_info(repository, revision=revision, files_metadata=True)
    siblings = published.siblings or []
    weights = _SAFE if any(fnmatch(file.rfilename, _SAFE) for file in siblings) else _PICKLED
    large = [
        LargeFile(file.rfilename, file.lfs.size, file.lfs.sha256)
        for file in siblings
        if file.lfs
        and _SHA256.fullmatch(file.lfs.sha256)
        and any(fnmatch(file.rfilename, pattern) for pattern in (*_SMALL, weights))
    ]
    if not any(fnmatch(file.rfilename, weights) for file in siblings):
        raise HubError(f"{repository} has no weights that can be loaded here.")
    blobs = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repository, repo_type="model"), "blobs")
    blobs.mkdir(parents=True, exist_ok=True)
    total, here = sum(file.size for file in large), sum(_here(blobs, file) for file in large)
    free = shutil.disk_usage(blobs).free
    if total - here > free:
        raise HubError(_no_space(repository, total - here, free))
    logger.info("fetching %s: %.2f of %.2f GB", repository, (total - here) / 1e9, total / 1e9)
    before = 0
    for file in large:
        tell(before + _here(blobs, file), total)
        _get(repository, published.sha or revision, file, blobs, _shifted(tell, before, total))
        before += file.size
    tell(total, total)
    return Path(snapshot_download(repository, revision=revision, allow_patterns=[*_SMALL, weights]))


def _shifted(tell: Tell, before: int, total: int) -> Callable[[int], None]:
    """Progress of one file as progress of all, of which `before` bytes are in earlier files."""
    return lambda here: tell(before + here, total)


def _has_weights(directory: Path, pattern: str) -> bool:
    """Whether all weight files are there: those of the index, or any if there is none."""
    for index in directory.glob(f"{pattern}.index.json"):
        names = set(json.loads(index.read_text())["weight_map"].values())
        return all((directory / name).is_file() for name in names)
    return any(directory.glob(pattern))


def _partial(blobs: Path, file: LargeFile) -> Path:
    return blobs / f"{file.sha256}.incomplete"


def _here(blobs: Path, file: LargeFile) -> int:
    """The bytes of a file that are downloaded."""
    if (blobs / file.sha256).exists():
        return file.size
    partial = _partial(blobs, file)
    return partial.stat().st_size if partial.exists() else 0


def _get(repository: str, commit: str, file: LargeFile, blobs: Path, tell: Callable[[int], None]) -> None:
    """Download the rest of one file and verify its sha256. Raises HubError and what the request raises."""
    blob, partial = blobs / file.sha256, _partial(blobs, file)
    if blob.exists():
        return
    with partial.open("ab+") as content:
        fcntl.flock(content, fcntl.LOCK_EX)  # another process may be downloading the same file
        if blob.exists():  # the other process has completed it
            return
        tries = 0
        while (done := content.seek(0, 2)) < file.size:
            failure: Exception = HubError(f"The hub sends nothing of {file.name} of {repository}; try again.")
            try:
                _continue(repository, commit, file, content, tell)
            except Exception as error:
                if not _passing(error):
                    raise
                failure = error
            if content.seek(0, 2) > done:
                tries = 0
                continue
            tries += 1
            if tries == _PATIENCE:
                raise failure
            time.sleep(tries)
        content.seek(0)
        if hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
            content.truncate(0)
            raise HubError(f"{file.name} of {repository} arrived damaged and was thrown away; try again.")
        partial.rename(blob)


def _continue(repository: str, commit: str, file: LargeFile, content: BinaryIO, tell: Callable[[int], None]) -> None:
    """Append the missing part of a file, in one request."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.utils._headers import build_hf_headers
    from huggingface_hub.utils._http import hf_raise_for_status

    done = content.seek(0, 2)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={done}-"}
    url = hf_hub_url(repository, file.name, revision=commit)
    with get_session().stream("GET", url, headers=headers, timeout=30, follow_redirects=True) as response:
        if response.status_code >= 400:
            response.read()  # the error's text is made of it
        hf_raise_for_status(response)
        if response.status_code != 206:  # the server ignored the range: the body is the whole file
            content.truncate(0)
            done = 0
        for chunk in response.iter_bytes(_CHUNK):
            content.write(chunk)
            done += len(chunk)
            tell(done)
    content.flush()


def _passing(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    return isinstance(error, httpx2.TransportError)


def _explained(error: Exception, repository: str, revision: str) -> tuple[str, bool]:
    """A sentence on what failed, and whether the hub could not be reached."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"{constants.ENDPOINT}/{repository}"
    match error:
        case GatedRepoError():
            return (
                f"{repository} is gated: accept its licence at {page} and set HF_TOKEN to a token of that account.",
                False,
            )
        case RevisionNotFoundError():
            return f"{repository} has no revision '{revision}'.", False
        case RepositoryNotFoundError():
            return f"There is no {repository} on the hub, or HF_TOKEN does not open it.", False
        case HfHubHTTPError() if error.response.status_code in (401, 403):
            return f"The hub refuses HF_TOKEN for {repository}.", False
        case HFValidationError():
            return f"'{repository}' is no id of the hub.", False
        case OfflineModeIsEnabled():
            return f"{repository} is not here as a whole, and HF_HUB_OFFLINE forbids to fetch it.", True
        case OSError(errno=errno.ENOSPC):
            return _no_space(repository), False
        case OSError(errno=errno.EROFS | errno.EACCES | errno.EPERM):
            return f"{repository} cannot be written where HF_HOME says; name another folder, or open it to us.", False
        case httpx2.TransportError() | HfHubHTTPError():
            return f"The hub ({constants.ENDPOINT}) cannot be reached; check the network.", True
    return f"{repository} could not be fetched; the log says why.", False


def _no_space(repository: str, wanted: int = 0, free: int = 0) -> str:
    numbers = f": {wanted / 1e9:.1f} GB are missing and {free / 1e9:.1f} GB are free" if wanted else ""
    return f"The disk has no room for {repository}{numbers}; free some, or set HF_HOME to a folder on a larger one."
