"""Build a container image: `make image`, with TORCH=cpu for machines without a GPU.

python -m deploy.image [--torch cpu] [--backend docker|podman|buildah] [--bake blip,moondream] [--tag NAME]
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.image.building import BACKENDS, build
from deploy.image.definition import PYPI, TORCHES
from looksee.models.registry import REGISTRY


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.image", description="Build a container image of Looksee.")
    parser.add_argument("--torch", choices=TORCHES, default=PYPI, help="the build of torch (pypi: CUDA 13)")
    parser.add_argument("--backend", choices=BACKENDS, help="what builds it; by default the first that is installed")
    parser.add_argument("--bake", default="", metavar="MODELS", help="models whose published weights are in the image")
    parser.add_argument("--tag", help="by default looksee:latest, and for other builds of torch looksee:<build>")
    parser.add_argument("--context", type=Path, help="keep the folder that is built here")
    options, more = parser.parse_known_args(arguments)
    bake = [name for name in options.bake.replace(",", " ").split() if name]
    if unknown := [name for name in bake if name not in REGISTRY]:
        parser.error(f"there is no model '{unknown[0]}'. Choose from: {', '.join(REGISTRY)}.")
    backend = options.backend or next((name for name in BACKENDS if shutil.which(name)), None)
    if backend is None:
        parser.error(f"none of these is installed: {', '.join(BACKENDS)}.")
    tag = options.tag or default_tag(options.torch)
    build(options.torch, backend, tag, bake=bake, arguments=more, context=options.context)
    print(f"looksee: {tag} is built", flush=True)


def default_tag(torch: str) -> str:
    return "looksee:latest" if torch == PYPI else f"looksee:{torch}"


if __name__ == "__main__":
    main()
