"""The commands of docs/kubernetes.md and docs/compose.md, as far as they go without a cluster and an engine.

`helm upgrade` is rendered, `kubectl create` shows what it would make, and compose files are read by podman-compose.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from looksee.settings import unknown_names
from tests.deploy import helm, schemas
from tests.deploy.test_compose import BASE, GPU, OLD_PORTS, services
from tests.docs import markdown
from tests.support.serving import ROOT

KUBERNETES, COMPOSE = ROOT / "docs/kubernetes.md", ROOT / "docs/compose.md"
# What needs a cluster, or what tests elsewhere run.
_ELSEWHERE = re.compile(r"kubectl .*port-forward |make (image|build)|bentoml deploy ")


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command of the page's blocks."""
    for block in markdown.blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", "").splitlines():
                yield shlex.split(line)


def with_files(words: list[str], folder: Path) -> list[str]:
    """The words, with files of values that the page shows written to `folder`."""
    (shown,) = [block.text for block in markdown.blocks(KUBERNETES) if block.language == "yaml"]
    (folder / "scaling.yaml").write_text(shown)
    return [str(folder / word) if word == "scaling.yaml" else word for word in words]


def test_every_command_is_run_here_or_elsewhere() -> None:
    known = re.compile(r"(helm|kubectl .*create|docker compose|python -m deploy.manifests)\b")
    lines = [shlex.join(words) for page in (KUBERNETES, COMPOSE) for words in commands(page)]
    assert len(lines) > 10
    assert [line for line in lines if not known.match(line) and not _ELSEWHERE.match(line)] == []


def test_the_chart_is_rendered_as_the_page_says(tmp_path: Path) -> None:
    found: list[list[dict[str, Any]]] = []
    for words in commands(KUBERNETES):
        if words[:3] != ["helm", "upgrade", "--install"]:
            continue
        # Of the release before: there is none.
        flags = [
            word for word in with_files(words[3:], tmp_path) if word not in ("--reuse-values", "--create-namespace")
        ]
        done = helm.run("template", *flags)
        assert done.returncode == 0, done.stderr
        found.append([each for each in yaml.safe_load_all(done.stdout) if each])
        assert [one for each in found[-1] for one in schemas.complaints(each)] == []
    installed, tried, scaled = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in found]
    assert {("Deployment", "looksee-gemma"), ("Deployment", "looksee-moondream")} <= installed
    assert ("Deployment", "looksee-moondream") in tried
    assert "nvidia.com/gpu" not in str(found[1])
    assert {("ScaledObject", "looksee-moondream"), ("ServiceMonitor", "looksee")} <= scaled


def test_the_secret_is_made_as_the_page_says() -> None:
    made = []
    for words in commands(KUBERNETES):
        if words[0] == "kubectl" and "create" in words:
            done = helm.run(*words[1:], "--dry-run=client", "--output=yaml", name="kubectl")
            assert done.returncode == 0, done.stderr
            made.append(yaml.safe_load(done.stdout))
    assert [(each["kind"], each["metadata"]["name"]) for each in made] == [
        ("Namespace", "vision"),
        ("Secret", "looksee-keys"),
    ]
    names = made[1]["data"].keys()
    assert "HF_TOKEN" in names
    assert unknown_names.complaints(dict.fromkeys(names, "x")) == {}
    assert not [
        name for name in names if name.startswith("LOOKSEE") and name not in (helm.CHART / "values.yaml").read_text()
    ]


def test_compose_reads_the_files_that_the_page_names() -> None:
    found = {_files_and_profile(words) for words in commands(COMPOSE) if words[:2] == ["docker", "compose"]}
    assert {(BASE,), (BASE, GPU), (BASE, OLD_PORTS)} == {files for files, _ in found}
    assert {"", "watch"} == {profile for _, profile in found}
    for files, profile in found:
        assert "looksee" in services(*files, profile=profile)


def test_the_values_are_valid_that_the_page_shows(tmp_path: Path) -> None:
    words = with_files(["scaling.yaml"], tmp_path)
    Path(words[0]).write_text(Path(words[0]).read_text().replace("scaling:", "scalling:"))
    assert "scalling" in helm.refusal("--values", words[0]), "a misspelt one would be"


def _files_and_profile(words: list[str]) -> tuple[tuple[str, ...], str]:
    """What stands between `docker compose` and what is to be done."""
    verb = next(at for at, word in enumerate(words) if word in ("up", "run", "exec"))
    given = dict(enumerate(words[2:verb]))
    files = tuple(given[at + 1] for at, word in given.items() if word == "-f")
    profiles = [given[at + 1] for at, word in given.items() if word == "--profile"]
    return files or (BASE,), "".join(profiles)


@pytest.mark.parametrize("page", [KUBERNETES, COMPOSE], ids=lambda page: page.name)
def test_values_and_files_that_a_page_names_are_there(page: Path) -> None:
    values = yaml.safe_load((helm.CHART / "values.yaml").read_text())
    for name in re.findall(r"`((?:[a-z]+\.)+[a-zA-Z]+)`", markdown.prose(page)):
        first, *rest = name.split(".")
        if first not in values or rest[-1] in ("yaml", "json"):
            continue
        found: Any = values[first] if first != "models" else values["models"]["moondream"]
        for part in rest:
            assert part in found, name
            found = found[part]
