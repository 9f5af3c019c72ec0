"""The wheel has what `looksee` needs, and nothing under another name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from looksee.models.registry import REGISTRY
from looksee.version import VERSION
from tests.support.serving import CLEAN, ROOT

_SOURCES = ("looksee", "pyproject.toml", "README.md", "LICENSE")
_NO_CACHES = shutil.ignore_patterns("__pycache__")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built out of a copy: setuptools leaves folders where it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in _SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / "source" / name, ignore=_NO_CACHES)
        else:
            shutil.copy(source, folder / "source" / name)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(folder / "source")], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel; its dependencies are those of the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    options = ["--quiet", "--no-deps", "--no-index"]
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run([*pip, "install", *options, str(wheel)], check=True)
    # A path in a .pth file is searched after the environment's own; .pth files in it, as of an editable install, are
    # not read.
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def run(installed: Path, folder: Path, program: str, *arguments: str) -> str:
    """What a program of the environment says in an empty folder."""
    environment = {name: value for name, value in CLEAN.items() if name != "PYTHONPATH"}
    environment |= {"PATH": f"{installed}{os.pathsep}{environment['PATH']}", "HF_HOME": str(folder / "hub")}
    command = [str(installed / program), *arguments]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def test_the_wheel_has_one_name_and_all_modules(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in names} == {"looksee", f"looksee-{VERSION}.dist-info"}
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "looksee").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules


def test_the_command_line_runs_where_nothing_of_the_project_is(installed: Path, tmp_path: Path) -> None:
    assert VERSION in run(installed, tmp_path, "looksee", "--version")
    text = run(installed, tmp_path, "looksee", "--help")
    assert all(command in text for command in ("ask", "caption", "models", "pull"))
    lines = run(installed, tmp_path, "looksee", "models").splitlines()
    assert [line.split()[0] for line in lines] == ["name", *REGISTRY]
    assert all(line.endswith(" -") for line in lines[1:]), "no weights are here"


def test_programs_import_it_where_nothing_of_the_project_is(installed: Path, tmp_path: Path) -> None:
    code = "import looksee; from looksee import picture; print(looksee.__file__, picture.__module__)"
    file, module = run(installed, tmp_path, "python", "-c", code).split()
    assert Path(file).is_relative_to(installed.parent)
    assert module == "looksee.cli.picture"
