"""Environments of other programs, which `make adapters` makes: each has packages that do not go with this project's,
or that are too heavy for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import ROOT

# The folder of the environments; without it what needs one is skipped.
FOLDER = "COMPAT_ENVIRONMENTS"


def environment(name: str, *packages: str) -> Path:
    """The interpreter of an environment with these packages, which is made where it is not there yet."""
    if FOLDER not in os.environ:
        pytest.skip(f"needs {' '.join(packages)} in an environment of its own: `make adapters` makes it")
    home = Path(os.environ[FOLDER]).resolve() / name
    done = home / "packages.json"
    if not done.exists() or json.loads(done.read_text()) != list(packages):
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        install = [
            str(home / "bin/python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *packages,
        ]
        subprocess.run(install, check=True)
        done.write_text(json.dumps(packages))
    return home / "bin/python"


def ran(python: Path, module: str, *arguments: str, **variables: str) -> Any:
    """What a module of the tests printed last, as JSON, when it was run there."""
    command = [str(python), "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
