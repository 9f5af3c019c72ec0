"""Figures of a service between two looks at its metrics, and their table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from looksee.cli.commands.figures import Snapshot, figures, look
from looksee.cli.service_client import ServiceAway
from tests.cli.in_process import looksee
from tests.support.serving import free_port

HEALTH = {"status": "healthy", "version": "1.2", "redis": "up", "models": {"blip": "ready", "gemma": "idle"}}
METRICS = """# TYPE looksee_rows_running gauge
looksee_rows_running{{model="blip"}} {running}
# TYPE looksee_rows_waiting gauge
looksee_rows_waiting{{model="blip"}} 2
# TYPE looksee_batch_rows histogram
looksee_batch_rows_bucket{{model="blip",le="+Inf"}} {steps}
looksee_batch_rows_count{{model="blip"}} {steps}
looksee_batch_rows_sum{{model="blip"}} {rows}
# TYPE looksee_time_to_first_token_seconds histogram
looksee_time_to_first_token_seconds_count{{model="blip"}} {answers}
looksee_time_to_first_token_seconds_sum{{model="blip"}} {waited}
# TYPE looksee_new_tokens_total counter
looksee_new_tokens_total{{model="blip"}} {tokens}
# TYPE looksee_cache_requests_total counter
looksee_cache_requests_total{{result="hit"}} {hits}
looksee_cache_requests_total{{result="miss"}} 30
"""
FIRST = {"running": 0, "steps": 10, "rows": 20, "answers": 5, "waited": 1, "tokens": 100, "hits": 0}
SECOND = {"running": 4, "steps": 20, "rows": 60, "answers": 25, "waited": 2, "tokens": 300, "hits": 10}
OPERATORS = {"models": {"blip": {"state": "ready", "device": "cpu", "memory_bytes": 2_000_000_000}}}


class MeasuredService:
    """A service whose metrics are the first and from then on the second."""

    def __init__(self) -> None:
        self.metrics = [METRICS.format(**FIRST), METRICS.format(**SECOND)]
        self.health: object = HEALTH
        self.headers: dict[str, Mapping[str, str] | None] = {}

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> str:
        self.headers[path] = headers
        if path == "/metrics":
            return self.metrics.pop(0) if len(self.metrics) > 1 else self.metrics[0]
        return json.dumps(OPERATORS if path == "/api/admin/models" else self.health)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> MeasuredService:
    service = MeasuredService()

    @asynccontextmanager
    async def connected(url: str, key: str) -> AsyncIterator[MeasuredService]:
        yield service

    monkeypatch.setattr("looksee.cli.service_client.connected", connected)
    return service


async def two(service: MeasuredService, seconds: float = 2.0) -> tuple[Snapshot, Snapshot]:
    found = [await look(service, key="", admin_key="") for _ in range(2)]  # type: ignore[arg-type]
    return found[0], Snapshot(found[0].moment + seconds, found[1].health, found[1].samples)


def test_rates_are_those_between_the_looks() -> None:
    before, now = asyncio.run(two(MeasuredService()))
    found = figures(before, now)
    blip = found.models["blip"]
    assert (blip.state, blip.running, blip.waiting) == ("ready", 4, 2)
    assert (blip.batch_rows, blip.first_token_seconds) == (4.0, 0.05)
    assert (blip.answers_per_second, blip.tokens_per_second) == (10.0, 100.0)
    assert (found.hits, found.lookups, found.hit_rate, found.hits_per_second) == (10, 40, 0.25, 5.0)
    gemma = found.models["gemma"]
    assert (gemma.running, gemma.batch_rows, gemma.first_token_seconds) == (0, None, None)
    restarted = figures(now, before)
    assert restarted.models["blip"].answers_per_second == 0.0


def test_the_table_and_its_json(measured: MeasuredService) -> None:
    done = looksee("status", "--once", "--interval", "0.2")
    assert done.exit_code == 0, done.stderr
    assert "Looksee 1.2 at http://localhost:3000" in done.stdout
    (row,) = (line for line in done.stdout.splitlines() if "blip" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:6] == ["blip", "ready", "4", "2", "4.0", "50 ms"]
    assert "cache: up, 10 of 40 lookups hit (25%)" in done.stdout
    assert "memory" not in done.stdout, "only operators see it"
    measured.metrics.insert(0, METRICS.format(**FIRST))
    whole = json.loads(looksee("status", "--json", "--interval", "0.2").stdout)
    assert whole["models"]["blip"]["batch_rows"] == 4.0
    assert set(measured.headers.values()) == {None}


def test_operators_see_memory_and_devices(measured: MeasuredService) -> None:
    done = looksee("status", "--once", "--interval", "0.2", "--admin-key", "a", "--metrics-key", "m")
    assert "2.00 GB" in done.stdout
    assert "cpu" in done.stdout
    assert measured.headers["/metrics"] == {"X-API-Key": "m"}
    assert measured.headers["/api/admin/models"] == {"X-API-Key": "a"}


def test_in_a_terminal_it_keeps_up_and_says_when_the_service_is_away(
    measured: MeasuredService, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    get = measured.get

    async def sometimes(path: str, headers: Mapping[str, str] | None = None) -> str:
        nonlocal looks
        looks += path == "/metrics"
        if path == "/metrics" and looks == 3:
            raise ServiceAway("There is no service.")
        if looks == 5:
            raise KeyboardInterrupt
        return await get(path, headers)

    monkeypatch.setattr(measured, "get", sometimes)
    monkeypatch.setattr("looksee.cli.commands.status.in_terminal", lambda: True)
    done = looksee("status", "--interval", "0.2")
    assert done.exit_code == 130
    assert looks == 5, "it went on"
    assert "10 of 40 lookups hit" in done.stdout


def test_what_is_no_looksee(measured: MeasuredService) -> None:
    measured.health = [1]
    done = looksee("status", "--once")
    assert (done.exit_code, done.stderr) == (1, "Error: What is there does not answer as a Looksee does.\n")


def test_nobody_there() -> None:
    done = looksee("status", "--once", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.exit_code == 1
    assert "There is no service at" in done.stderr
