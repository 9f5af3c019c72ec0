"""Importing builds nothing: no server, no connection, no process, no settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.serving import CLEAN, ROOT

# Runs in a process of its own, in a folder with a `.env`: what importing does is seen by an audit hook.
WATCH = """
import importlib, json, os, pkgutil, sys
seen = []

def hook(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.fork"):
        seen.append([event, str(arguments[-1])])
    elif event == "open" and os.path.basename(str(arguments[0])) == ".env":
        seen.append([event, str(arguments[0])])

import looksee
names = [one.name for one in pkgutil.walk_packages(looksee.__path__, "looksee.") if one.name != "looksee.__main__"]
names += ["service"]
# Libraries may ask the system what it is when they are imported; that is not what is watched here.
import torch, transformers, bentoml, fastapi, redis, huggingface_hub
sys.addaudithook(hook)
for name in names:
    importlib.import_module(name)
from looksee.settings import settings
print(json.dumps({"names": len(names), "seen": seen, "settings": settings.cache_info().misses}))
"""


def test_importing_starts_nothing_and_reads_no_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=nonsense\n")
    command = [sys.executable, "-c", WATCH]
    environment = {**CLEAN, "PYTHONPATH": str(ROOT), "LOOKSEE_MAX_QUEUE": "nonsense"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["names"] > 100
    assert found["seen"] == []
    assert found["settings"] == 0
