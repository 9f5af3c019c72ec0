"""What every command has, and those that need the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from looksee.cli.commands import project
from looksee.cli.main import main
from tests.cli.in_process import looksee
from tests.support.serving import ROOT


@pytest.mark.parametrize("name", [name for name in main.commands if name != "bench"])
def test_each_shows_an_example(name: str) -> None:
    done = looksee(name, "--help")
    assert done.exit_code == 0
    assert f"  looksee {name}" in done.stdout.partition("Example")[2]
    short = main.commands[name].get_short_help_str(60)
    assert not short.endswith("..."), "it is cut in the list of commands"


class Became(Exception):
    """Instead of becoming another program."""


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []

    def become(folder: Path, module: str, words: Any) -> None:
        found.extend((folder, module, list(words)))
        raise click.exceptions.Exit(0)

    monkeypatch.setattr(project, "_become", become)
    return found


def test_serving_in_the_projects_folder(became: list[Any]) -> None:
    assert looksee("serve", "--port", "3001", "--weights", "hub").exit_code == 0
    assert became == [ROOT, "deploy.local", ["--port", "3001", "--weights", "hub"]]


def test_serving_in_the_image(became: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which has what `bentofile.yaml` lists: the service and its rooms, and no `deploy` or `bench`."""
    (tmp_path / "service.py").touch()
    (tmp_path / "runners").mkdir()
    monkeypatch.setattr(project, "__file__", str(tmp_path / "looksee" / "cli" / "commands" / "project.py"))
    monkeypatch.setenv("LOOKSEE_WEIGHTS", "hub")
    assert looksee("serve", "--port", "3001", "--weights", "sample").exit_code == 0
    assert became == [tmp_path, "bentoml", ["serve", "service:Looksee", "--port", "3001"]]
    assert os.environ["LOOKSEE_WEIGHTS"] == "sample"
    done = looksee("bench")
    assert done.exit_code == 1
    assert "Run `make bench` in the project's folder." in done.stderr


def test_the_wheel_alone_serves_and_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "__file__", str(tmp_path / "looksee" / "cli" / "commands" / "project.py"))
    monkeypatch.chdir(tmp_path)
    for name, what in (("serve", "docker run"), ("bench", "make bench")):
        done = looksee(name)
        assert done.exit_code == 1
        assert "is not in this package, which is the command line alone." in done.stderr
        assert what in done.stderr
    assert "  looksee bench blip\n" in looksee("bench", "--help").stdout


def test_what_is_measured_is_handed_on(became: list[Any]) -> None:
    assert looksee("bench", "blip", "--threads", "1").exit_code == 0
    assert became == [ROOT, "bench", ["blip", "--threads", "1"]]


def test_becoming_another_program_keeps_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import sys, os\nprint(os.getcwd(), sys.argv[1:])\nsys.exit(7)\n")
    code = "import sys; from pathlib import Path; from looksee.cli.commands.project import _become\n"
    code += f"_become(Path({str(tmp_path)!r}), 'ends', ['a b'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, f"{tmp_path} ['a b']\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str) -> None:
    done = looksee("completion", shell)
    assert done.exit_code == 0
    assert "_LOOKSEE_COMPLETE" in done.stdout


def test_commands_options_and_models_are_completed() -> None:
    from click.shell_completion import BashComplete

    def completed(*words: str) -> set[str]:
        complete = BashComplete(main, {}, "looksee", "_LOOKSEE_COMPLETE")
        return {item.value for item in complete.get_completions(list(words[:-1]), words[-1])}

    assert completed("st") == {"status"}
    assert "--sidecar" in completed("caption", "--s")
    assert completed("caption", "--existing", "a") == {"append"}
    assert completed("ask", "--model", "b") == {"blip", "blip2"}
