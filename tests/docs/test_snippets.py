"""Every snippet of the documents is run, in its page's order, against one service, and shows what is shown under it.

A block of `sh` or `python` is run in a folder that has `ui/` and `photos/`. A block of `json` or `text` right behind it
is its answer: `...` stands for anything, and the member `"...": "..."` for further members. `no-test` behind the
language means that the block is not run; NOT_RUN says why.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs import markdown
from tests.docs.markdown import Block
from tests.support.serving import CLEAN, ROOT, Service
from tools.documents import pages

PAGES = pages.all_pages()
_REST = "..."
_SERVER = "it starts a server: tests/service/start and tests/service/routes/test_keys.py do"
_HOSTS = "it starts a server: tests/service/hosts does, on several hosts"
_DOCKER = "it needs Docker: tests/service/start serves the same bento without it"
_CLUSTER = "it needs a cluster or a container engine: tests/deploy/test_commands.py goes as far as it can without"
_HUB = "it fetches published weights: tests/service/models/test_hub.py fetches from a hub of its own"
_PROGRAM = "it is run where the program is: tests/compat/adapters does"
# By page and first line.
NOT_RUN = {
    ("adapters.md", "PYTHONPATH=. cvat-cli --server-host https://cvat.example.org task auto-annotate 42 \\"): _PROGRAM,
    ("adapters.md", "import fiftyone as fo"): _PROGRAM,
    ("adapters.md", "pip install label-studio-ml==1.0.9 redis rq httpx"): _PROGRAM,
    ("compose.md", "make image TORCH=cpu"): _CLUSTER,
    ("compose.md", "docker compose run --rm looksee python -m looksee pull moondream"): _CLUSTER,
    ("compose.md", "make image"): _CLUSTER,
    ("compose.md", "docker compose -f compose.yaml -f compose.old-ports.yaml up -d"): _CLUSTER,
    ("compose.md", "docker compose --profile watch up -d"): _CLUSTER,
    ("kubernetes.md", "kubectl create namespace vision"): _CLUSTER,
    ("kubernetes.md", "helm upgrade --install looksee deploy/helm --namespace vision --create-namespace \\"): _CLUSTER,
    (
        "kubernetes.md",
        "helm upgrade --install looksee deploy/helm --namespace vision --reuse-values --values scaling.yaml",
    ): _CLUSTER,
    ("kubernetes.md", "python -m deploy.manifests"): _CLUSTER,
    ("kubernetes.md", "make build"): _CLUSTER,
    ("README.md", "make serve"): _SERVER,
    ("README.md", "make setup && .venv/bin/looksee pull moondream"): _HUB,
    ("README.md", "make image TORCH=cpu"): _DOCKER,
    ("gpu.md", "docker run --gpus all -p 3000:3000 --stop-timeout 120 looksee:latest"): _DOCKER,
    ("hosts.md", "LOOKSEE_RUNNER_KEY=a-long-secret bentoml serve service:Blip --port 3001"): _HOSTS,
    ("models.md", ".venv/bin/looksee pull blip gemma"): _HUB,
    ("operations.md", "make image TORCH=cpu"): _DOCKER,
    (
        "operations.md",
        "LOOKSEE_PRELOAD=blip,moondream LOOKSEE_PIN=blip MODEL_CAPACITY=2 bentoml serve service:Looksee",
    ): _SERVER,
    ("security.md", "LOOKSEE_ALLOWED_ORIGINS=https://app.example.org,http://localhost:5173 make serve"): _SERVER,
    ("security.md", "LOOKSEE_CLIENT_KEYS=one-key,another-key API_KEY=for-operators make serve"): _SERVER,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a page's snippets run: beside the sample pictures, and with photos of one's own."""
    (tmp_path / "ui").symlink_to(ROOT / "ui")
    (tmp_path / "photos/more").mkdir(parents=True)
    shutil.copy(ROOT / "ui/sample.png", tmp_path / "photos/a.png")
    shutil.copy(ROOT / "ui/sample-2.png", tmp_path / "photos/more/b.png")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/looksee"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m looksee "$@"\n')
    command.chmod(0o755)
    (tmp_path / ".curlrc").write_text("silent\nshow-error\nfail-with-body\n")
    return tmp_path


def run(block: Block, folder: Path, service: Service) -> subprocess.CompletedProcess[str]:
    text = block.text.replace("http://localhost:3000", service.url).replace(".venv/bin/", "")
    env = {
        **CLEAN,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LOOKSEE_URL": service.url,
    }
    env |= {"CURL_HOME": str(folder), "BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-c", text] if block.language == "python" else ["bash", "-euo", "pipefail", "-c", text]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)


def matches(shown: Any, found: Any) -> bool:
    """Whether JSON that is shown, with its `...`, is the JSON that was found."""
    if isinstance(shown, dict):
        if not isinstance(found, dict):
            return False
        named = shown.keys() - {_REST}
        complete = _REST in shown or named == found.keys()
        return complete and all(name in found and matches(shown[name], found[name]) for name in named)
    if isinstance(shown, list):
        return isinstance(found, list) and len(shown) == len(found) and all(map(matches, shown, found))
    if isinstance(shown, str):
        return isinstance(found, str) and _pattern(shown).fullmatch(found) is not None
    return bool(shown == found)


def _pattern(shown: str) -> re.Pattern[str]:
    return re.compile(re.escape(shown).replace(re.escape(_REST), ".*"), re.DOTALL)


def test_answers_are_compared() -> None:
    assert matches({"a": "x ... z", "...": "..."}, {"a": "x y z", "b": 1})
    assert not matches({"a": "x"}, {"a": "x", "b": 1})
    assert not matches({"a": "x", "...": "..."}, {"a": "y", "b": 1})
    assert not matches([{"a": 1}], [{"a": 1}, {"a": 1}])
    assert not matches("a...", "b")


def test_what_is_not_run_is_said_with_its_reason() -> None:
    marked = {(page.name, block.first_line) for page in PAGES for block in markdown.blocks(page) if not block.tested}
    assert marked == NOT_RUN.keys()


def test_every_block_has_a_language_that_is_checked() -> None:
    for page in PAGES:
        before = None
        for block in markdown.blocks(page):
            assert block.language in ("sh", "python", "json", "text", "dotenv", "yaml", "xml"), (page.name, block.line)
            assert block.info in (block.language, f"{block.language} no-test"), (page.name, block.line)
            if block.language == "json":
                assert before is not None
                assert before.tested, (page.name, block.line)
                assert not block.follows.strip(), f"{page.name}:{block.line} is no block's answer"
            before = block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_do_what_they_say(page: Path, folder: Path, request: pytest.FixtureRequest) -> None:
    found = markdown.blocks(page)
    ours = [block for block in found if block.language in ("sh", "python") and block.tested]
    if not ours:
        return
    service: Service = request.getfixturevalue("service")
    following = dict(zip(map(id, found), [*found[1:], None], strict=True))
    for block in ours:
        place = f"{page.name}:{block.line}"
        done = run(block, folder, service)
        answer = following[id(block)]
        if answer is None or answer.language not in ("json", "text") or answer.follows.strip():
            answer = None
        fails = answer is not None and answer.language == "json" and "error" in json.loads(answer.text)
        assert done.returncode == (22 if fails else 0), f"{place}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{place}: {done.stderr}"
        if answer is None:
            continue
        if answer.language == "json":
            assert matches(json.loads(answer.text), json.loads(done.stdout)), f"{place}: {done.stdout}"
        else:
            assert _pattern(answer.text).fullmatch(done.stdout), f"{place}: {done.stdout}"
