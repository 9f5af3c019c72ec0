"""Admin routes, guarded by `API_KEY`."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from looksee.core import errors
from looksee.core.tasks import Status
from looksee.http.context import ContextFactory
from looksee.http.edge.access.api_keys import ApiKeys
from looksee.http.inputs import model_path


def router(contexts: ContextFactory) -> APIRouter:
    """The routes, guarded by `API_KEY`."""
    gateway, settings = contexts.gateway, contexts.settings
    keys = ApiKeys([settings.api_key])

    def guard(x_api_key: Annotated[str | None, Header(description="the API_KEY of the service")] = None) -> None:
        if settings.debug:
            return
        if not keys:
            raise errors.AdminClosed("Admin routes are closed: set API_KEY (or DEBUG=true) and start again.")
        if x_api_key is None:
            raise errors.MissingKey("Send the service's API key in the header X-API-Key.", param="X-API-Key")
        if keys.holder([x_api_key.encode("latin-1")]) is None:
            raise errors.WrongKey("The key in X-API-Key is not the service's.", param="X-API-Key")

    routes = APIRouter(prefix="/api/admin", tags=["admin"], dependencies=[Depends(guard)])

    @routes.post("/reset-cache", summary="Forget every cached answer")
    async def reset_cache(
        scope: Annotated[
            Literal["service", "database"], Query(description="this service's entries, or the whole Redis database")
        ] = "service",
    ) -> dict[str, Any]:
        deleted = await gateway.cache.clear(whole_database=scope == "database")
        if deleted is None:
            raise errors.CacheUnavailable("Redis does not answer, so the cache could not be cleared.", retry_after=5)
        return {"message": "Redis cache cleared", "deleted": deleted}

    @routes.get("/cache", summary="What the cache holds, and how it is used")
    async def cache() -> dict[str, Any]:
        """`entries` and `bytes` are null when Redis does not answer. The others count since the service started."""
        size, lookups = await asyncio.gather(gateway.cache.size(), asyncio.to_thread(_lookups))
        entries, size_bytes = size or (None, None)
        return {"redis": gateway.cache.state, "entries": entries, "bytes": size_bytes, **lookups}

    @routes.get("/models", summary="Every model's state, memory and last use")
    async def models() -> dict[str, Any]:
        """`models` by name. Memory is of the model's whole process, and what it has allocated on a GPU, in bytes.

        A `warm` one has answered since it was loaded. `preloaded` is null for one that loads on its first request.
        `expires` says when it is released if nobody asks until then; null if it stays.
        """
        statuses = await asyncio.gather(*(runner.status() for runner in gateway.runners.values()))
        described = {name: _described(status) for name, status in zip(gateway.runners, statuses, strict=True)}
        return {"models": described, "capacity": settings.model_capacity}

    @routes.post(f"/models/{model_path.MODEL}/load", summary="Load a model's weights and warm it up")
    async def load(name: model_path.Name, request: Request) -> dict[str, Any]:
        """Answers when they are loaded; 503 when that takes too long. Other models may be released for it."""
        return _described(
            await gateway.runners[model_path.checked(name)].load(timeout=contexts.of(request.receive).time_left())
        )

    @routes.post(f"/models/{model_path.MODEL}/unload", summary="Release a model's weights")
    async def unload(name: model_path.Name, request: Request) -> dict[str, Any]:
        """Waits for the requests it is at work on; 503 when they take too long. The next request loads it again."""
        return _described(
            await gateway.runners[model_path.checked(name)].unload(timeout=contexts.of(request.receive).time_left())
        )

    return routes


def _described(status: Status | None) -> dict[str, Any]:
    if status is None:
        return {"state": "unreachable"}
    return {
        "state": status.state,
        "warm": status.warm,
        "preloaded": status.preloaded,
        "pinned": status.pinned,
        "expires": _time(status.expires),
        "revision": status.identity.revision,
        "weights": status.identity.weights,
        "device": status.device,
        "memory_bytes": status.memory_bytes,
        "device_memory_bytes": status.device_bytes,
        "last_use": _time(status.last_use),
        "in_flight": status.in_flight,
        "queued": status.queued,
        "error": {"code": status.failure.code, "message": status.failure.message} if status.failure else None,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _lookups() -> dict[str, int]:
    """The counter `looksee_cache_requests_total` over all processes of the gateway. Reads files."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]

    def count(result: str) -> int:
        return int(registry.get_sample_value("looksee_cache_requests_total", {"result": result}) or 0)

    return {"hits": count("hit"), "misses": count("miss"), "coalesced": count("coalesced")}
