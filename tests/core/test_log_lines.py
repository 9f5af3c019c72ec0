"""Lines of a JSON log that no logger wrote: warnings, and what ends a process or a thread."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.serving import ROOT

BEFORE = (
    "import logging, threading, warnings; logging.basicConfig(); from looksee.core import logs; logs.configure({!r});"
)


def written(code: str, form: str = "json") -> str:
    """What a process writes to its log."""
    command = [sys.executable, "-c", BEFORE.format(form) + code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False).stderr


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("warnings.warn('a\\nb')", "UserWarning: a\nb"),
        ("1 / 0", "the process ended by an exception"),
        ("t = threading.Thread(target=lambda: 1 / 0, name='w'); t.start(); t.join()", "the thread w ended"),
    ],
)
def test_each_is_one_line_with_an_object(code: str, message: str) -> None:
    (line,) = written(code).splitlines()
    said = json.loads(line)
    assert message in said["message"]
    assert ("ZeroDivisionError" in said.get("traceback", "")) == ("1 / 0" in code)


def test_a_handler_of_bentomls_own_logger_writes_objects_too() -> None:
    before = "h = logging.StreamHandler(); logging.getLogger('bentoml').addHandler(h); logs.configure('json');"
    lines = written(f"{before} logging.getLogger('bentoml').propagate = False; logging.getLogger('bentoml').error('a')")
    assert [json.loads(line)["message"] for line in lines.splitlines()] == ["a"]


def test_a_text_log_leaves_tracebacks_as_python_writes_them() -> None:
    assert written("1 / 0", "text").startswith("Traceback")


def test_a_process_that_bentoml_has_not_named_yet_is_named_by_its_arguments() -> None:
    code = "import sys; sys.argv += ['--service-name', 'Blip', '--worker-id', '1'];"
    code += "r = logging.makeLogRecord({'msg': 'a', 'component': '[:1]'});"
    code += "print(logs.JsonFormatter().format(r), file=sys.stderr)"
    assert json.loads(written(code))["process"] == "service:Blip:1"
