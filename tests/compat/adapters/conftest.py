"""Scenes as files, which the programs are given."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from samples.world import finding, scenes
from samples.world.scenes import Scene, Thing
from tests.compat.environments import ran
from tests.support.serving import CLIENT_KEY, Service

PICTURES = 4


@dataclass(frozen=True)
class SceneFiles:
    """Drawn scenes in a folder: `0.png`, `1.png` and so on."""

    folder: Path
    scenes: tuple[Scene, ...]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> SceneFiles:
    folder, made = tmp_path_factory.mktemp("scenes"), []
    for number in range(PICTURES):
        rng = random.Random(f"adapters:{number}")
        scene = scenes.compose(rng, sides=(160, 400))
        (folder / f"{number}.png").write_bytes(scenes.encode(scenes.draw(scene, rng), rng, ("PNG",)))
        made.append(scene)
    return SceneFiles(folder, tuple(made))


def asked(
    request: pytest.FixtureRequest, python: Path, module: str, files: SceneFiles, **variables: str
) -> dict[str, Any]:
    """What a module printed that was run with the address and a key of a running service, about these files.

    The service is started here: whoever has no environment for the module needs none.
    """
    service: Service = request.getfixturevalue("keyed")
    own = {"LOOKSEE_KEY": CLIENT_KEY, "NO_PROXY": "127.0.0.1", **variables}
    found: dict[str, Any] = ran(python, module, service.url, str(files.folder), **own)
    return found


def all_found(things: Sequence[Thing], boxes: Sequence[Sequence[float]]) -> bool:
    """Whether there is a box (x_min, y_min, x_max, y_max, in parts) of each of the things and none beside."""
    found = [(box[0], box[1], box[2], box[3]) for box in boxes]
    return len(found) == len(things) == finding.matched(things, found)
