"""Fixtures of the fault suite."""

from __future__ import annotations

from tests.faults.recording import record as record  # a fixture
