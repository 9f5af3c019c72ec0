"""What is in the container images: one definition, in which only the build of torch differs.

Base image and installer are pinned, and so is every package (requirements.txt, with hashes). Nothing is compiled, so
there is no compiler, no git and no list of system packages in an image.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from bentoml.images import Image

VARIABLE: Final = "IMAGE_TORCH"  # read when a bento is made
PYPI: Final = "pypi"  # for Linux on x86-64 that is the build for CUDA 13
TORCHES: Final = (PYPI, "cpu", "cu126", "cu128", "cu130")

BASE: Final = "docker.io/library/python:3.11.14-slim-bookworm"
UV: Final = "uv==0.13.9"
WEIGHTS: Final = "/home/bentoml/.cache/huggingface"  # HF_HOME, in bentofile.yaml too

_REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"
# What PyPI's torch needs of CUDA. Other builds of torch name their own. nvidia-ml-py is BentoML's, on every machine.
_CUDA = re.compile(r"(nvidia-(?!ml-py)|cuda-|triton==)")
_HASH = re.compile(r" \\\n +--hash=\S+")


def definition(torch: str | None = None) -> Image:
    """The image with a build of torch: by default that of IMAGE_TORCH, or else PyPI's.

    Raises ValueError for a build that is not known.
    """
    torch = torch or os.environ.get(VARIABLE) or PYPI
    if torch not in TORCHES:
        raise ValueError(f"there is no build of torch named '{torch}'. Choose from: {', '.join(TORCHES)}.")
    image = Image(base_image=BASE, distro="", python_version="3.11", lock_python_packages=False)
    image.run(f"pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore {UV}")
    # Other builds of torch come from PyTorch's index of that build, and all else from PyPI.
    backend = "" if torch == PYPI else f'\\n[pip]\\ntorch-backend = "{torch}"'
    image.run(f"mkdir -p /etc/uv && printf 'no-cache = true{backend}\\n' > /etc/uv/uv.toml")
    image.python_packages(*requirements(_REQUIREMENTS.read_text(), torch))
    # A new volume takes over the owner of the folder that it is mounted on.
    image.run(f"install -d -o bentoml -g bentoml {Path(WEIGHTS).parent} {WEIGHTS}")
    return image


def requirements(locked: str, torch: str) -> list[str]:
    """The entries of requirements.txt that an image with this build of torch installs, each with its hashes."""
    entries = re.findall(r"^[^\s#](?:.*\\\n)*.*$", locked, re.MULTILINE)
    if torch == PYPI:
        return entries
    kept = [entry for entry in entries if not _CUDA.match(entry)]
    # The lock has the hashes of PyPI's torch; its version holds for each build.
    return [_HASH.sub("", entry) if entry.startswith("torch==") else entry for entry in kept]


def cuda_packages() -> list[str]:
    """The names of the locked packages that PyPI's torch brings for CUDA."""
    lines = _REQUIREMENTS.read_text().splitlines()
    return [line.partition("==")[0] for line in lines if _CUDA.match(line)]
