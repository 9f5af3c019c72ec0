"""What `deploy/verify-image` makes of logs and results. It builds and runs images by itself, not in these tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.verification.report import CheckResult, not_json, page
from deploy.verification.shell import CommandFailed, Shell
from deploy.verification.tour import caption, drawn

GOOD = json.dumps({"level": "info", "process": "service:Blip:1", "message": "a"})


def test_lines_of_a_log_that_are_no_objects_or_name_no_process_are_found() -> None:
    nameless = json.dumps({"level": "info", "process": ":1", "message": "a"})
    text = "Loading weights: 100%"
    assert not_json(f"{GOOD}\n\n{nameless}\n{text}\n[1]\n") == [nameless, text, "[1]"]


def test_the_page_has_each_image_with_its_checks_and_versions() -> None:
    results = [
        CheckResult("GPU", "builds", True, "93 s"),
        CheckResult("CPU", "builds", False, "no | way\nat all"),
    ]
    text = page("2026-11-29 10:00 UTC", "abc", {"podman": "podman version 4.3.1"}, ["A note."], results)
    assert "2026-11-29 10:00 UTC, commit abc." in text
    assert "| podman | podman version 4.3.1 |" in text
    assert "- A note." in text
    assert "## GPU\n\n1 of 1 checks passed." in text
    assert "## CPU\n\n0 of 1 checks passed." in text
    assert "| builds | **failed** | no \\| way at all |" in text


def test_a_command_that_fails_is_told_with_what_it_said_and_kept_in_the_log(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "log", tmp_path)
    with pytest.raises(CommandFailed, match="ended with 3: why"):
        shell.run("sh", "-c", "echo why >&2; exit 3")
    assert shell.read("sh", "-c", "echo out; echo err >&2; exit 1") == "out\nerr\n"
    assert not shell.ok("no-such-program")
    assert "-> 127" in (tmp_path / "log").read_text()


def test_pictures_differ_and_a_service_that_is_not_there_is_status_0() -> None:
    assert len({drawn(number) for number in range(20)}) == 20
    assert caption("http://127.0.0.1:9", "blip", 1) == 0
