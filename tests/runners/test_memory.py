"""Releasing the memory of a device."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from runners import memory


@pytest.mark.parametrize("has_workspaces", [True, False])
def test_workspaces_are_released_before_the_cache_is_emptied(
    has_workspaces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would keep blocks of it. A build of torch without the call is no error."""
    called: list[str] = []
    library: Any = SimpleNamespace()
    if has_workspaces:
        library._cuda_clearCublasWorkspaces = lambda: called.append("workspaces")
    cuda = SimpleNamespace(is_initialized=lambda: True, empty_cache=lambda: called.append("cache"))
    mps = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(_C=library, cuda=cuda, backends=mps))
    memory.release_unused()
    assert called == (["workspaces", "cache"] if has_workspaces else ["cache"])
