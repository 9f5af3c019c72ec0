"""Run every client program against a service of its own, and keep what came of it.

python -m tools.compat [NAME ...]        # or: make compat
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from looksee.models.registry import REGISTRY
from samples.world import scenes
from tests.support.serving import EVERY, serve
from tools.compat import table
from tools.compat.program import CompatProgram, ProgramResult, all_programs

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "looksee-compat"
_SCENES = 3


def drawn(folder: Path) -> Path:
    """A file with scenes: their pictures, what is right to say of them, and what to ask."""
    found = []
    for number in range(_SCENES):
        rng = random.Random(f"compat:{number}")
        scene = scenes.compose(rng, sides=(160, 320))
        data = scenes.encode(scenes.draw(scene, rng), rng, ("PNG",))
        file = folder / f"{number}.png"
        file.write_bytes(data)
        text = base64.b64encode(data).decode()
        right = {
            "count": scenes.NUMBERS[len(scene.things) - 1],
            "number": len(scene.things),
            "caption": scene.caption(),
        }
        found.append({"picture": str(file), "base64": text, "uri": f"data:image/png;base64,{text}", **right})
    told = folder / "scenes.json"
    told.write_text(json.dumps({"question": "How many shapes are there?", "scenes": found}))
    return told


@contextlib.contextmanager
def service(url: str) -> Iterator[str]:
    """The address of a service: the given one, or one that is started with the sample weights."""
    if url:
        yield url
        return
    with serve(models=EVERY, MODEL_CAPACITY="0", LOOKSEE_LOAD_WAIT_SECONDS="300") as running:
        for model in REGISTRY:
            running.client.post("/api/generate", json={"model": model}).raise_for_status()
        yield running.url


def result(program: CompatProgram, url: str, told: Path) -> ProgramResult:
    """Install and run one program."""
    try:
        folder = program.installed(_CACHE)
    except subprocess.CalledProcessError as error:
        return program.failed(f"cannot be installed: {(error.stderr.strip().splitlines() or ['no reason told'])[-1]}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return program.failed(f"cannot be installed: {type(error).__name__}")
    return program.run(folder, url, told)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.compat")
    parser.add_argument("names", nargs="*", help="all without one; such as npm/ollama")
    parser.add_argument("--url", default="", help="a service that is running, with sample weights")
    options = parser.parse_args()
    programs = [one for one in all_programs() if not options.names or one.name in options.names]
    kept = table.measured() if table.MEASURED.exists() else {}
    with tempfile.TemporaryDirectory() as folder, service(options.url) as url:
        told = drawn(Path(folder))
        for program in programs:
            found = result(program, url, told)
            kept[program.name] = found.record()
            print(f"{program.name}: {found.right} of {found.asked} right {found.wrong}", flush=True)
    there = {program.name for program in all_programs()}
    kept = {name: record for name, record in sorted(kept.items()) if name in there}
    table.MEASURED.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
