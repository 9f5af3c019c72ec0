"""The composition root: `bentoml serve service:Looksee` serves the gateway, with a process for each model beside it.

Importing this module builds nothing. What BentoML asks it for by name is built then: `Looksee`, or one model's runner
(`bentoml serve service:Blip`).
"""

from __future__ import annotations

import functools
from typing import Any

from _bentoml_sdk import Service
from bentoml.images import Image

from cache.answer_cache import RedisAnswerCache
from cache.guarded_redis import GuardedRedis
from cache.kept_pictures import RedisPictures
from looksee.core import logs
from looksee.engine.metrics import drop_dead_processes
from looksee.gateway.answering import AnsweringService
from looksee.gateway.kept_pictures import KeptPictures, PictureStore
from looksee.gateway.local_pictures import LocalPictures
from looksee.models.registry import also_known_as, serve_only
from looksee.serving import bentoml_patches, stopping, supervision
from looksee.serving.gateway_service import gateway_service
from looksee.settings import Settings, settings
from runners.services import runner_services

_FILE_SECONDS = 2.0  # that Redis may take for a picture of 10 MiB


def __getattr__(name: str) -> Service[Any]:
    found = services().get(name)
    if found is None:
        raise AttributeError(f"there is no service '{name}'; there are: {', '.join(services())}")
    return found


@functools.cache
def services() -> dict[str, Service[Any]]:
    """The gateway and the runner of every model that there is, by their names. Reads the settings."""
    bentoml_patches.apply()
    configured = settings()
    if configured.log_format == "json":
        logs.configure("json")  # of the supervisor too, and before it logs anything
    supervision.supervise(configured.silence_seconds)
    stopping.stop_in_order(configured.drain_seconds)
    serve_only(configured.served_models())
    also_known_as(configured.aliases())
    redis = GuardedRedis(configured.redis(), timeout=configured.cache_timeout_ms / 1000)
    cache = RedisAnswerCache(redis, ttl=configured.cache_ttl_seconds)
    answering = AnsweringService({}, cache, _kept_pictures(configured))
    runners = runner_services()
    gateway = gateway_service(configured, answering, runners, redis, on_start=drop_dead_processes)
    gateway.image = _image()
    return {one.name: one for one in (gateway, *runners.values())}


def _image() -> Image | None:
    """What is in the container image, for who builds one. A bento has no `deploy`, and needs none."""
    try:
        from deploy.image.definition import definition
    except ModuleNotFoundError:
        return None
    return definition()


def _kept_pictures(configured: Settings) -> KeptPictures:
    most, most_bytes = configured.max_kept_pictures, configured.max_kept_bytes
    limits: dict[str, Any] = {"max_pictures": most, "max_bytes": most_bytes, "seconds": configured.kept_picture_seconds}
    store: PictureStore = LocalPictures(**limits)
    if configured.redis():
        # With a connection and a breaker of their own: files take longer than answers, which must not wait for them.
        timeout = max(_FILE_SECONDS, configured.cache_timeout_ms / 1000)
        store = RedisPictures(GuardedRedis(configured.redis(), timeout=timeout), **limits)
    return KeptPictures(store, max_pictures=most, max_bytes=most_bytes)
