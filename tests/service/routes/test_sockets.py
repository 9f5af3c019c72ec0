"""What a running service listens on: pickles are read on none of its ports, and its sockets are its user's alone."""

from __future__ import annotations

import os
import pickle
import socket
import stat
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from looksee.core.tasks import Ask, Call, Job, Task
from tests.support.serving import API_KEY, Service

PICKLES = (
    "application/vnd.bentoml+pickle",
    "application/vnd.bentoml+pickle; charset=x",
    "APPLICATION/VND.BENTOML+PICKLE",
    "application/vnd.bentoml+multipart",
    "application/vnd.bentoml.stream+pickle",
    "application/x-pickle",
    "application/octet-stream",
    "multipart/form-data; boundary=x",
    "text/plain",
    "",
)
OURS = ("infer", "cancel", "status", "load", "unload")  # methods of a runner, which read pickles on its own socket


class Bomb:
    """Its pickle makes a file where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (open, (str(self.mark), "w"))


def processes(service: Service) -> list[psutil.Process]:
    supervisor = psutil.Process(service.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def ports(service: Service) -> set[int]:
    return {
        connection.laddr.port
        for process in processes(service)
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and isinstance(connection.laddr, tuple)
    }


def sockets(service: Service) -> set[Path]:
    """The files of sockets that its processes have."""
    return {
        Path(str(connection.laddr))
        for process in processes(service)
        for connection in process.net_connections(kind="unix")
        if str(connection.laddr).startswith("/")
    }


def test_the_only_port_is_that_of_the_gateway(service: Service) -> None:
    assert ports(service) == {httpx.URL(service.url).port}


def test_sockets_are_for_this_user_alone(service: Service) -> None:
    found = sockets(service)
    assert len(found) >= 3  # the runner's, and the two of the supervisor
    for path in found:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path
        assert not path.stat().st_mode & stat.S_IWOTH, path  # who may not write cannot connect
        assert path.parent.stat().st_uid == os.getuid()


@pytest.mark.parametrize("kind", PICKLES)
def test_a_pickle_is_read_on_no_port(kind: str, service: Service, tmp_path: Path) -> None:
    bomb = tmp_path / "mark"
    content = pickle.dumps(Bomb(bomb))
    paths = [*service.client.get("/openapi.json").json()["paths"], *(f"/{name}" for name in OURS)]
    for path in paths:
        address = path.replace("{name}", "blip")
        if address.endswith(("/load", "/unload", "/reset-cache")):
            continue  # they take no body, and would do what they are for
        answer = service.client.post(
            address, content=content, headers={"Content-Type": kind, "X-API-Key": API_KEY, "Payload-Meta": "[]"}
        )
        assert 400 <= answer.status_code < 500, (address, answer.text)
    assert not bomb.exists()


def test_other_services_than_http_take_no_bytes(service: Service, tmp_path: Path) -> None:
    bomb = tmp_path / "mark"
    for port in ports(service):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(pickle.dumps(Bomb(bomb)) + b"\r\n\r\n")
            assert b" 400 " in connection.recv(1000)
    assert not bomb.exists()


def test_a_runners_socket_is_where_pickles_are_read(service: Service) -> None:
    """So the rights of its folder are what keeps others out: this test says that they matter."""
    (path,) = (one for one in sockets(service) if one.parent.name.startswith("bentoml-uds-"))
    call = Call("probe", [Ask(Job(Task.CAPTION, ()), 0.0)])
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://runner") as client:
        answer = client.post(
            "/cancel",
            content=pickle.dumps({"ask_ids": [(call.id, 0)]}),
            headers={"Content-Type": PICKLES[0]},
        )
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/", "/caption", "/v1/chat/completions", "/api/admin/models"])
def test_no_websocket_is_opened(path: str, service: Service) -> None:
    wish = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    answer = service.client.get(path, headers={**wish, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert answer.status_code != 101
    assert answer.status_code in (200, 403, 405)  # the page is shown to whoever has no use for its wish
