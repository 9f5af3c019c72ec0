"""requirements.txt locks all that the service runs on: what pyproject.toml pins, and what that needs in turn."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.serving import ROOT

TEXT = (ROOT / "requirements.txt").read_text()
_ENTRY = re.compile(
    r"^(?P<requirement>[a-z][^\n]*?)(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE
)


def pinned(requirement: Requirement) -> str:
    """The one version that a requirement allows."""
    (only,) = requirement.specifier
    assert only.operator == "=="
    return only.version


LOCKED: dict[str, Requirement] = {
    canonicalize_name(one.name): one for one in map(Requirement, (m["requirement"] for m in _ENTRY.finditer(TEXT)))
}
# Those that this platform needs and has.
HERE: dict[str, metadata.Distribution] = {
    name: metadata.distribution(name)
    for name, one in LOCKED.items()
    if (one.marker is None or one.marker.evaluate()) and not name.startswith(("nvidia-", "cuda-", "triton"))
}


def test_each_pin_of_the_project_is_locked() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for one in map(Requirement, wanted):
        locked = LOCKED[canonicalize_name(one.name)]
        assert (pinned(locked), locked.marker) == (pinned(one), None), "run `make lock`"


def test_every_line_has_hashes_and_no_address() -> None:
    rest = _ENTRY.sub("", TEXT)
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []
    assert "://" not in TEXT
    assert "file:" not in TEXT


@pytest.mark.parametrize("name", HERE)
def test_what_is_installed_is_what_is_locked_and_needs_nothing_else(name: str) -> None:
    installed = HERE[name]
    assert Version(installed.version).public == pinned(LOCKED[name]), "run `make lock`"
    for one in map(Requirement, installed.requires or []):
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            assert canonicalize_name(one.name) in LOCKED


@pytest.mark.parametrize(
    ("name", "platform", "needed"),
    [
        ("nvidia-ml-py", {"sys_platform": "darwin", "platform_machine": "arm64"}, True),  # BentoML's, on any platform
        ("async-timeout", {"python_full_version": "3.11.2"}, True),
        ("async-timeout", {"python_full_version": "3.11.3"}, False),
        ("nvidia-cublas", {"sys_platform": "linux", "platform_machine": "x86_64"}, True),
        ("nvidia-cublas", {"sys_platform": "linux", "platform_machine": "aarch64"}, True),
        ("nvidia-cublas", {"sys_platform": "darwin", "platform_machine": "arm64"}, False),
        ("triton", {"sys_platform": "darwin", "platform_machine": "arm64"}, False),
    ],
)
def test_other_platforms_are_locked_too(name: str, platform: dict[str, str], needed: bool) -> None:
    marker = LOCKED[name].marker
    assert (marker is None or marker.evaluate(platform)) is needed
