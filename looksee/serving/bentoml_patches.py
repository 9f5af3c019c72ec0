"""What of BentoML 1.4.39 is left out or set right, in one place.

BentoML is pinned; look here first when that changes.
"""

from __future__ import annotations

import logging
import os
from http import HTTPStatus
from typing import Any

from _bentoml_impl import serde
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
from bentoml.exceptions import BadInput, BentoMLException
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request

_LOOK_EVERY = 2.0  # seconds


class LeanService(Service[Any]):
    """A BentoML service without the layers that cost more than they give.

    The timeout middleware keeps a timer, and with it the whole request, for every request of the last two minutes, and
    the garbage collector walks them all; deadlines are kept by the engine, the desk and the door. The tracing
    middleware makes spans also where nobody traces. The access log is the door's own: one line a request.
    """

    def to_asgi(self, is_main: bool = True) -> Any:
        # The process has its name now. BentoML keeps what it was at the first line of the log: a bento's had none then.
        _component_name.cache_clear()
        app: Starlette = super().to_asgi(is_main=is_main)
        left_out: list[object] = [TimeoutMiddleware, AccessLogMiddleware]
        if not BentoMLContainer.tracing.sample_rate.get():
            left_out.append(OpenTelemetryMiddleware)
        logging.getLogger(http_app.__name__).addFilter(_is_no_callers_mistake)
        app.user_middleware = [layer for layer in app.user_middleware if layer.cls not in left_out]
        return app


def _is_no_callers_mistake(record: logging.LogRecord) -> bool:
    """BentoML logs each input that it refuses as a failure, with a traceback that quotes what was sent."""
    error = record.exc_info[1] if record.exc_info else None
    refused = isinstance(error, BentoMLException) and error.error_code < HTTPStatus.INTERNAL_SERVER_ERROR
    return not (refused or isinstance(error, ValidationError))


def apply() -> None:
    """Apply all of them, once, in every process, before BentoML is given a service."""
    disable_telemetry()
    respawn_in_containers()
    look_for_dead_processes_often()
    lift_connection_limit()
    answer_unreadable_forms()


class _Watchful(circus.Arbiter):
    def __init__(self, *args: Any, check_delay: float, **kwargs: Any) -> None:
        super().__init__(*args, check_delay=min(check_delay, _LOOK_EVERY), **kwargs)


class _WatchfulThread(circus.ThreadedArbiter):
    def __init__(self, *args: Any, check_delay: float, **kwargs: Any) -> None:
        super().__init__(*args, check_delay=min(check_delay, _LOOK_EVERY), **kwargs)


class _FormSerde(serde.MultipartSerde):
    async def parse_request(self, request: Request, cls: Any) -> Any:
        try:
            return await super().parse_request(request, cls)
        except (HTTPException, RecursionError) as error:  # a field that is too long, or brackets that are too deep
            raise BadInput("The form could not be read.") from error


def answer_unreadable_forms() -> None:
    """Answer a form that cannot be read with 400: BentoML takes what Starlette says of it for a failure of its own."""
    serdes: Any = serde.ALL_SERDE  # said to be a Mapping
    serdes["application/x-www-form-urlencoded"] = _FormSerde


def lift_connection_limit() -> None:
    """Let a gateway have as many calls under way to a runner as it wants to: BentoML's session waits beyond a hundred.

    Rows are counted by the engine, which answers at once when they are too many.
    """
    make = SessionManager._make_client

    def made(manager: SessionManager) -> ClientSession:
        session: ClientSession = make(manager)
        assert session.connector is not None
        session.connector._limit = session.connector._limit_per_host = 0
        return session

    SessionManager._make_client = made


def disable_telemetry() -> None:
    """Send no usage reports to BentoML's vendor.

    Its command line looks at BENTOML_DO_NOT_TRACK before it imports the service, and remembers what it saw.
    """
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    do_not_track.cache_clear()


def respawn_in_containers() -> None:
    """Have a process that died started again in a container too.

    There BentoML would leave that to a cluster: its arbiter then ends every other process as soon as one is dead. The
    function is asked for nothing else, and by the supervising process alone, after it has imported the service.
    """
    serving.running_inside_container = lambda: False  # type: ignore[assignment]


def look_for_dead_processes_often() -> None:
    """Have dead processes looked for every 2 s instead of every 10; BentoML has no setting for it.

    Has an effect in the supervising process, which makes its arbiter after it has imported the service.
    """
    circus.Arbiter = _Watchful  # type: ignore[misc]
    circus.ThreadedArbiter = _WatchfulThread  # type: ignore[misc]
