"""Patches of BentoML 1.4.39, all in one place. Its version is pinned; check each of them when that changes."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from _bentoml_impl.client.proxy2 import SessionManager
from _bentoml_sdk import Service
from aiohttp import ClientSession
from bentoml import serving
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.log import _component_name
from bentoml._internal.server import http_app
from bentoml._internal.server.http.access import AccessLogMiddleware
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from bentoml._internal.utils import circus
from bentoml._internal.utils.analytics.usage_stats import do_not_track
from bentoml.exceptions import BentoMLException
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from pydantic import ValidationError
from starlette.applications import Starlette
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from looksee.core import heartbeat

_CHECK_SECONDS = 1.0  # between two checks for dead processes
_MAPPED = "::ffff:"  # how an address of IPv4 is written as one of IPv6


class LeanService(Service[Any]):
    """A BentoML service without the middlewares whose cost exceeds their use.

    The timeout middleware keeps a timer, and with it the whole request, for every request of the last two minutes, and
    the garbage collector walks them all; the HTTP edge, the gateway and the engine keep the deadlines. The tracing
    middleware makes spans even where tracing is off. The HTTP edge writes the access log, one line a request.

    Its process shows the supervisor that it runs, from before the service starts until after it has ended.
    """

    def to_asgi(self, is_main: bool = True) -> Any:
        # BentoML caches the process's name at its first log line, when the process of a bento has none yet.
        _component_name.cache_clear()
        app: Starlette = super().to_asgi(is_main=is_main)
        omitted: list[object] = [TimeoutMiddleware, AccessLogMiddleware]
        if not BentoMLContainer.tracing.sample_rate.get():
            omitted.append(OpenTelemetryMiddleware)
        logging.getLogger(http_app.__name__).addFilter(_is_not_bad_input)
        app.user_middleware = [layer for layer in app.user_middleware if layer.cls not in omitted]
        lifespan = app.router.lifespan_context

        @contextlib.asynccontextmanager
        async def beating(app: Starlette) -> AsyncIterator[Any]:
            async with heartbeat.beating(), lifespan(app) as state:
                yield state

        app.router.lifespan_context = beating
        return app


def _is_not_bad_input(record: logging.LogRecord) -> bool:
    """A filter: BentoML logs each input that it refuses as a failure, with a traceback that quotes the input."""
    error = record.exc_info[1] if record.exc_info else None
    refused = isinstance(error, BentoMLException) and error.error_code < HTTPStatus.INTERNAL_SERVER_ERROR
    return not (refused or isinstance(error, ValidationError))


def apply() -> None:
    """Apply all of them, once, in every process, before BentoML is given a service."""
    disable_telemetry()
    leave_gpus_to_settings()
    respawn_in_containers()
    poll_processes_faster()
    lift_connection_limit()
    know_clients_of_ipv4()


class _FastArbiter(circus.Arbiter):
    def __init__(self, *args: Any, check_delay: float, **kwargs: Any) -> None:
        super().__init__(*args, check_delay=min(check_delay, _CHECK_SECONDS), **kwargs | _private_control())


class _FastThreadedArbiter(circus.ThreadedArbiter):
    def __init__(self, *args: Any, check_delay: float, **kwargs: Any) -> None:
        super().__init__(*args, check_delay=min(check_delay, _CHECK_SECONDS), **kwargs | _private_control())


def _private_control() -> dict[str, str]:
    """Where the arbiter takes orders: in a folder of this user's.

    BentoML has it listen on ports of this machine, without a key, and among its orders is to run any command: whoever
    may connect to a port here could run programs as this user.
    """
    folder = tempfile.mkdtemp(prefix="looksee-control-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"endpoint": f"ipc://{folder}/orders", "pubsub_endpoint": f"ipc://{folder}/events"}


def lift_connection_limit() -> None:
    """Remove the limit of 100 calls at a time from a gateway's session to a runner: further calls would wait in it.

    The engine limits the rows, and refuses at once when there are too many.
    """
    original = SessionManager._make_client

    def make_client(manager: SessionManager) -> ClientSession:
        session: ClientSession = original(manager)
        assert session.connector is not None
        session.connector._limit = session.connector._limit_per_host = 0
        return session

    SessionManager._make_client = make_client


def know_clients_of_ipv4() -> None:
    """Give clients of IPv4 their own address where one socket takes both families, which writes it `::ffff:192.0.2.7`.

    uvicorn would find such an address in no list of proxies that may name their clients (FORWARDED_ALLOW_IPS).
    """
    original = ProxyHeadersMiddleware.__call__

    async def call(layer: ProxyHeadersMiddleware, scope: Any, receive: Any, send: Any) -> None:
        client = scope.get("client")
        if client and client[0].startswith(_MAPPED):
            scope["client"] = (client[0].removeprefix(_MAPPED), client[1])
        await original(layer, scope, receive, send)

    ProxyHeadersMiddleware.__call__ = call  # type: ignore[method-assign, assignment]


def disable_telemetry() -> None:
    """Send no usage reports to BentoML's vendor.

    Its command line reads BENTOML_DO_NOT_TRACK before it imports the service, and caches the value.
    """
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    do_not_track.cache_clear()


def leave_gpus_to_settings() -> None:
    """Let each runner see all GPUs of its host, of which LOOKSEE_DEVICE names one.

    BentoML would give each service that asks for a GPU another one, also such that are not there: the second model of a
    host with one card would find none.
    """
    os.environ["BENTOML_DISABLE_GPU_ALLOCATION"] = "1"


def respawn_in_containers() -> None:
    """Restart a process that died in a container too.

    There BentoML leaves that to the cluster: its arbiter ends all processes once one is dead. The patched function has
    no other use, and only the supervising process calls it, after it has imported the service.
    """
    serving.running_inside_container = lambda: False  # type: ignore[assignment]


def poll_processes_faster() -> None:
    """Check for dead processes every second instead of every 10, and take orders from this user alone; BentoML has no
    setting for either.

    Takes effect in the supervising process, which makes its arbiter after it has imported the service.
    """
    circus.Arbiter = _FastArbiter  # type: ignore[misc]
    circus.ThreadedArbiter = _FastThreadedArbiter  # type: ignore[misc]
