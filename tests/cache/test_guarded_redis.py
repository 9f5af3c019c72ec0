"""What the metrics say of Redis when several processes use it, or only import what would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from tests.cache.redis_server import RedisServer, unused_url
from tests.support.serving import ROOT

_PING = """
import asyncio, sys
from cache.guarded_redis import GuardedRedis

async def ping(url):
    redis = GuardedRedis(url, timeout=5)
    await redis.call(redis.client.ping)
    await redis.close()

for url in sys.argv[1:]:
    asyncio.run(ping(url))
"""


def said(directory: Path, *urls: str) -> float | None:
    """The value shown after one more process has asked each of these servers."""
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    subprocess.run([sys.executable, "-c", _PING, *urls], cwd=ROOT, env=env, check=True)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]
    return registry.get_sample_value("looksee_redis_up")


def test_redis_is_up_while_no_process_that_uses_it_fails(tmp_path: Path) -> None:
    with RedisServer() as server:
        assert said(tmp_path) is None, "a process that only imports"
        assert said(tmp_path, server.url) == 1
        assert said(tmp_path) == 1
        assert said(tmp_path, unused_url()) == 0
        assert said(tmp_path, server.url) == 0, "another one still fails"
