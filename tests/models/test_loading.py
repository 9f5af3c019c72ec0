"""Loading, where the installation itself is in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from looksee.models.weights.source import SAMPLES
from tests.support.serving import ROOT

LOAD = f"""
import logging
logging.basicConfig()
from pathlib import Path
from looksee.core import errors
from looksee.models.loading import load
try:
    print(type(load("blip", Path({str(SAMPLES / "blip")!r}), device="cpu", dtype="float32")).__name__)
except errors.WeightsUnavailable as error:
    print("refused:", error.message)
"""


def torchvision(site: Path, code: str) -> None:
    """Install a torchvision that does `code` when it is imported."""
    (site / "torchvision").mkdir(parents=True)
    (site / "torchvision" / "__init__.py").write_text(code)
    (site / "torchvision-0.28.0.dist-info").mkdir()
    (site / "torchvision-0.28.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n"
    )


def run(site: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": f"{site}:{ROOT}"}
    return subprocess.run([sys.executable, "-c", LOAD], env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "code",
    ['raise RuntimeError("operator torchvision::nms does not exist")', "import no_such_library", "1 / 0"],
    ids=["another torch's", "a part missing", "otherwise"],
)
def test_a_broken_torchvision_is_named_with_a_way_out(code: str, tmp_path: Path) -> None:
    torchvision(tmp_path, code)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused: No model can be loaded: torchvision is installed with the service and")
    assert "pip uninstall torchvision" in done.stdout
    assert "ERROR:looksee.models:torchvision is installed here and cannot be imported" in done.stderr
    assert "Traceback" in done.stderr, "the log has the cause"


def test_none_is_needed(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Blip"), done.stderr
