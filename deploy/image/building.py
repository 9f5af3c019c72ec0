"""Builds an image: a bento, its Containerfile completed, and one command of docker, podman or buildah."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.image.containerfile import completed
from deploy.image.definition import VARIABLE

BACKENDS: Final = ("docker", "podman", "buildah")

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_EPOCH = 946684800  # 2000-01-01, in seconds: zip files have no earlier times
# Docker's own format, since OCI's has no health probe.
_COMMANDS = {
    "docker": ["docker", "build"],
    "podman": ["podman", "build", "--format", "docker"],
    "buildah": ["buildah", "build", "--format", "docker"],
}


def build(
    torch: str,
    backend: str,
    tag: str,
    *,
    bake: Sequence[str] = (),
    arguments: Sequence[str] = (),
    context: Path | None = None,
    endpoint: str | None = None,
) -> None:
    """Build the image `tag`; `arguments` go to the builder as they are. Raises CalledProcessError.

    The weights of `bake` are fetched with HF_TOKEN where it is set here, and from `endpoint`, or else HF_ENDPOINT.
    `context` is a folder for what is given to the builder, kept afterwards.
    """
    token = os.environ.get("HF_TOKEN", "") if bake else ""
    with tempfile.TemporaryDirectory(prefix="looksee-image-") as kept:
        secrets = []
        if token:
            file = Path(kept, "token")
            file.touch(mode=0o600)
            file.write_text(token)
            secrets = ["--secret", f"id=hf_token,src={file}"]
        folder = context or Path(kept, "context")
        endpoint = os.environ.get("HF_ENDPOINT", "") if endpoint is None else endpoint
        prepare(folder, torch, bake=bake, secret=bool(token), endpoint=endpoint)
        command = [*_COMMANDS[backend], *arguments, *secrets, "--tag", tag, "--file", f"{folder}/env/docker/Dockerfile"]
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        subprocess.run([*command, str(folder)], check=True, env=environment)


def prepare(folder: Path, torch: str, *, bake: Sequence[str] = (), secret: bool = False, endpoint: str = "") -> None:
    """Write what the builder is given to `folder`: the bento with its Containerfile completed."""
    with tempfile.TemporaryDirectory(prefix="looksee-bento-") as home:
        # In a process of its own: BentoML takes its home from the environment when it is imported.
        environment = {**os.environ, "BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True", VARIABLE: torch}
        command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", str(_ROOT)]
        subprocess.run(command, check=True, cwd=_ROOT, env=environment, stdout=sys.stderr)
        (bento,) = (found.parent for found in Path(home, "bentos").glob("*/*/bento.yaml"))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bento, folder)
    docker = folder / "env" / "docker"
    shutil.copy(_HERE / "entrypoint.sh", docker / "entrypoint.sh")
    file = docker / "Dockerfile"
    file.write_text(completed(file.read_text(), bake=bake, secret=secret, endpoint=endpoint))
    for one in (folder, *folder.rglob("*")):
        os.utime(one, (_EPOCH, _EPOCH))  # builders look at times too: what did not change comes from their cache
