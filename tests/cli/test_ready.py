"""`looksee ready`, against small servers of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner, Result

from looksee.cli.main import main
from tests.support.serving import free_port


class Answering:
    """What the server says to everything, and what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, b'{"status": "ready"}', ""
        told = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None: ...

            def do_GET(self) -> None:
                told.asked = self.path
                self.send_response(told.status)
                self.end_headers()
                self.wfile.write(told.body)

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def answering() -> Iterator[Answering]:
    found = Answering()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def asked(*words: str, **env: str) -> Result:
    return CliRunner().invoke(main, ["ready", *words], env=env)


def test_a_service_that_takes_requests_is_0(answering: Answering) -> None:
    result = asked("--url", f"{answering.url}/")
    assert (result.exit_code, result.output) == (0, f"{answering.url}: ready\n")
    assert answering.asked == "/readyz"


def test_it_asks_this_machine_at_port_and_through_no_proxy(answering: Answering) -> None:
    port = answering.url.rpartition(":")[2]
    assert asked(PORT=port, http_proxy="http://127.0.0.1:9").exit_code == 0


def test_one_model_is_asked_for_by_name(answering: Answering) -> None:
    assert asked("--url", answering.url, "--model", "blip").exit_code == 0
    assert answering.asked == "/readyz?model=blip"


def test_one_that_is_about_to_end_is_1_and_says_why(answering: Answering) -> None:
    answering.status, answering.body = 503, b'{"detail": "The service is stopping."}'
    result = asked("--url", answering.url)
    assert result.exit_code == 1
    assert result.output == f"Error: not ready: {answering.url} answered with status 503: The service is stopping.\n"


def test_nobody_there_is_1() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = asked("--url", url)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: not ready: {url} does not answer (")


def test_another_program_and_no_address_are_1(answering: Answering) -> None:
    answering.body = b"<html>"
    assert "does not answer as a Looksee does" in asked("--url", answering.url).output
    result = asked("--url", "nonsense")
    assert result.exit_code == 1
    assert "nonsense does not answer" in result.output
