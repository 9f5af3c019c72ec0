"""Fixtures of the runners' tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from bentoml._internal.configuration.containers import BentoMLContainer

from looksee.models.registry import REGISTRY
from runners import lifecycle, model_loader
from runners.keeping import warming
from tests.runners.toys import ToyLoader, configure


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(BentoMLContainer.bentoml_home, "get", lambda: str(tmp_path))
    (tmp_path / "config.json").touch()  # the only file that is checked before loading
    return tmp_path


@pytest.fixture
def toys(home: Path, monkeypatch: pytest.MonkeyPatch) -> ToyLoader:
    made = ToyLoader()
    monkeypatch.setattr(model_loader, "_load", made.load)
    monkeypatch.setattr(model_loader, "_import_libraries", lambda name: None)
    monkeypatch.setattr(lifecycle, "_MIN_TURN", 0.2)
    monkeypatch.setattr(warming, "_TOKENS", 2)
    for name in REGISTRY:
        monkeypatch.setenv(f"LOOKSEE_{name.upper()}_WEIGHTS", str(home))
    configure(monkeypatch)
    return made
