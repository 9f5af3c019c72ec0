"""What a service says of itself, in figures: its health, and rates between two looks at its metrics."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from looksee.cli.service_client import ServiceClient, ServiceError

_LOOKUPS = "looksee_cache_requests_total"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look, at `moment` (monotonic). `samples` are the metrics by their names and their `model` or `result`."""

    moment: float
    health: Mapping[str, Any]
    samples: Mapping[tuple[str, str], float]
    admin: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str, label: str) -> float:
        return self.samples.get((name, label), 0.0)


@dataclass(frozen=True, slots=True)
class ModelActivity:
    """Of one model: None where nothing happened between the looks, or where only operators may know."""

    state: str
    running: int
    waiting: int
    batch_rows: float | None
    first_token_seconds: float | None
    answers_per_second: float
    tokens_per_second: float
    memory_bytes: int | None
    device: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """`hit_rate` is of the lookups since the service started, None before the first."""

    version: str
    redis: str
    hits: int
    lookups: int
    hit_rate: float | None
    hits_per_second: float
    models: dict[str, ModelActivity]

    def content(self) -> dict[str, Any]:
        return asdict(self)


async def look(service: ServiceClient, *, key: str, admin_key: str) -> Snapshot:
    """Raises ServiceError. `key` opens the metrics where they want one, `admin_key` what is for operators."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        health = json.loads(await service.get("/health"))
        metrics = await service.get("/metrics", {"X-API-Key": key} if key else None)
        admin = json.loads(await service.get("/api/admin/models", {"X-API-Key": admin_key})) if admin_key else {}
        samples: dict[tuple[str, str], float] = defaultdict(float)
        for family in text_string_to_metric_families(metrics):
            for sample in family.samples:
                label = sample.labels.get("model") or sample.labels.get("result") or ""
                if "le" not in sample.labels:
                    samples[sample.name, label] += sample.value
        return Snapshot(time.monotonic(), dict(health), samples, admin.get("models", {}))
    except (ValueError, TypeError, AttributeError):
        raise ServiceError("What is there does not answer as a Looksee does.") from None


def figures(before: Snapshot, now: Snapshot) -> Figures:
    """What happened between two looks."""
    seconds = max(now.moment - before.moment, 1e-9)

    def grown(name: str, label: str) -> float:
        """Never less than nothing: counters of a service that was started again begin at 0."""
        return max(now.value(name, label) - before.value(name, label), 0.0)

    def mean(name: str, label: str) -> float | None:
        count = grown(f"{name}_count", label)
        return grown(f"{name}_sum", label) / count if count else None

    def of_model(name: str, state: str) -> ModelActivity:
        own = now.admin.get(name, {})
        return ModelActivity(
            state=state,
            running=int(now.value("looksee_rows_running", name)),
            waiting=int(now.value("looksee_rows_waiting", name)),
            batch_rows=mean("looksee_batch_rows", name),
            first_token_seconds=mean("looksee_time_to_first_token_seconds", name),
            answers_per_second=grown("looksee_time_to_first_token_seconds_count", name) / seconds,
            tokens_per_second=grown("looksee_new_tokens_total", name) / seconds,
            memory_bytes=own.get("device_memory_bytes") or own.get("memory_bytes"),
            device=own.get("device"),
        )

    hits = int(now.value(_LOOKUPS, "hit"))
    lookups = hits + int(now.value(_LOOKUPS, "miss")) + int(now.value(_LOOKUPS, "coalesced"))
    return Figures(
        version=str(now.health.get("version", "")),
        redis=str(now.health.get("redis", "")),
        hits=hits,
        lookups=lookups,
        hit_rate=hits / lookups if lookups else None,
        hits_per_second=grown(_LOOKUPS, "hit") / seconds,
        models={name: of_model(name, str(state)) for name, state in dict(now.health.get("models", {})).items()},
    )
