"""LOOKSEE_MODELS as `bentoml serve` meets it: which services there are, and so which processes are started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.serving import CLEAN, ROOT

CODE = """
import service
names = service.services()
print(*sorted(names), sep=",")
print(*sorted(names["Looksee"].all_services()), sep=",")
try:
    service.Gemma
except AttributeError as error:
    print(error)
"""


def test_only_the_models_that_there_are_have_a_service(tmp_path: Path) -> None:
    env = {**CLEAN, "LOOKSEE_MODELS": "moondream,blip", "PYTHONPATH": str(ROOT), "BENTOML_HOME": str(tmp_path)}
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Blip,Looksee,Moondream",
        "Blip,Looksee,Moondream",
        "there is no service 'Gemma'; there are: Looksee, Blip, Moondream",
    ]
