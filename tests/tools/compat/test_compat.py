"""Client programs are read, run and judged; those of the project are run by `make compat` alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tools.compat import table
from tools.compat.program import CompatProgram, ProgramResult, all_programs, is_right

HEAD = """# program: a program
# asks: nothing
# packages: pillow==13.0.0 httpx
# without dependencies: moondream==1.0

"""
ASK = """from compat_scenes import SCENES, tell

for scene in SCENES:
    tell("count", lambda: scene["said"], scene["count"])
"""


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    file = tmp_path / "scenes.json"
    told = [{"said": "Two.", "count": "two"}, {"said": "one", "count": "three"}]
    file.write_text(json.dumps({"question": "How many?", "scenes": told}))
    return file


def program(folder: Path, text: str) -> CompatProgram:
    file = folder / "python" / "json.py"  # with the name of a module that it uses
    file.parent.mkdir()
    file.write_text(HEAD + text)
    return CompatProgram.read(file)


def environment(folder: Path) -> Path:
    """One whose Python is this one."""
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(sys.executable)
    return folder


def test_the_head_of_a_program(tmp_path: Path) -> None:
    found = program(tmp_path, "")
    assert (found.title, found.registry, found.name) == ("a program", "PyPI", "python/json")
    assert (found.packages, found.alone) == (("pillow==13.0.0", "httpx"), ("moondream==1.0",))


def test_answers_are_compared(tmp_path: Path, scenes: Path) -> None:
    found = program(tmp_path, ASK).run(environment(tmp_path), "http://nowhere", scenes)
    assert found == ProgramResult("python/json", 2, 1, "count: one")


@pytest.mark.parametrize(
    ("text", "why"),
    [("raise ValueError('It broke.')\n", "ValueError: It broke."), ("print('hello')\n", "printed nothing")],
)
def test_a_program_that_asks_nothing(tmp_path: Path, scenes: Path, text: str, why: str) -> None:
    found = program(tmp_path, text).run(environment(tmp_path), "http://nowhere", scenes)
    assert (found.asked, found.wrong) == (0, why)


def test_an_error_is_no_right_answer(tmp_path: Path, scenes: Path) -> None:
    text = "from compat_scenes import tell\ntell('count', lambda: 1 / 0, 'None')\n"
    found = program(tmp_path, text).run(environment(tmp_path), "http://nowhere", scenes)
    assert found == ProgramResult("python/json", 1, 0, "count: ZeroDivisionError: division by zero")
    assert not is_right({"answer": None, "right": "None"})


def test_every_program_has_a_head_and_pinned_packages() -> None:
    programs = all_programs()
    assert len(programs) >= 12
    assert len({one.name for one in programs}) == len(programs)
    assert all(
        "==" in package or "@" in package[1:] or package == "pillow" for one in programs for package in one.packages
    )


def test_the_table_has_every_program_that_was_run() -> None:
    text = table.markdown()
    assert all(one.title in text for one in all_programs())
    assert table.measured().keys() <= {one.name for one in all_programs()}
