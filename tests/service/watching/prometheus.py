"""A Prometheus that scrapes a running service as deploy/watch/prometheus.yml says, but more often."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.serving import PATIENCE, ROOT, Service, free_port

WATCH = ROOT / "deploy/watch"
PROGRAM = shutil.which("prometheus")


@dataclass(frozen=True)
class Prometheus:
    """Asked by its HTTP API."""

    client: httpx.Client

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that a query has now. Raises AssertionError for one that is none."""
        answer = self.client.get("/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", (query, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def has_numbers(self, query: str) -> bool:
        """Whether the query has a series, and one that is a number: quantiles of nothing are none."""
        return any(one["value"][1] != "NaN" for one in self.ask(query))


@contextlib.contextmanager
def scraping(service: Service) -> Iterator[Prometheus]:
    """One that has read the service's metrics once, until the block ends."""
    assert PROGRAM is not None
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="looksee-prometheus-")))
        config = (WATCH / "prometheus.yml").read_text().replace("15s", "500ms")
        own = config.replace("looksee:3000", service.url.removeprefix("http://"))
        assert own != config != (WATCH / "prometheus.yml").read_text()
        (folder / "prometheus.yml").write_text(own)
        (folder / "rules.yml").write_bytes((WATCH / "rules.yml").read_bytes())
        address = f"127.0.0.1:{free_port()}"
        words = [PROGRAM, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen([*words, f"--web.listen-address={address}"], stdout=log, stderr=subprocess.STDOUT)
        try:
            client = stack.enter_context(httpx.Client(base_url=f"http://{address}", timeout=PATIENCE))
            prometheus = Prometheus(client)
            until(lambda: _scraped(prometheus, process), lambda: (folder / "log").read_text())
            yield prometheus
        finally:
            process.terminate()
            process.wait()


def until(holds: Any, why: Any) -> None:
    """Wait for a condition; `why` says what is the matter where it does not come."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, why()
        time.sleep(0.1)


def _scraped(prometheus: Prometheus, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    with contextlib.suppress(httpx.TransportError, ValueError):  # not listening, or not ready yet
        return prometheus.client.get("/-/ready").status_code == 200 and bool(prometheus.ask("looksee_build_info"))
    return False
