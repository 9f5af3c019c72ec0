"""Where the command line finds a service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from looksee.cli.main import main
from looksee.cli.service_client import ServiceError, connected


def address(url: str) -> str:
    async def main() -> str:
        async with connected(url, "") as service:
            return service._url

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("localhost:3000", "http://localhost:3000"),
        ("127.0.0.1:3000/", "http://127.0.0.1:3000"),
        ("[::1]:3000", "http://[::1]:3000"),
        (" looksee.example.com\n", "http://looksee.example.com"),
        ("looksee.example.com/pictures/", "http://looksee.example.com/pictures"),
        ("HTTPS://looksee.example.com", "HTTPS://looksee.example.com"),
        ("http://localhost:3000/", "http://localhost:3000"),
    ],
)
def test_without_a_scheme_http_is_meant(url: str, found: str) -> None:
    assert address(url) == found


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "ftp://localhost",
        "file:///etc",
        "two words",
        "localhost:port",
        "localhost:99999",
        "[::1",
        ":3000",
    ],
)
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(ServiceError, match="is not the address of a service, like http://localhost:3000"):
        address(url)


def test_it_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    done = CliRunner().invoke(main, ["caption", str(tmp_path), "--url", "ftp://\x1b"])
    assert done.exit_code == 1
    assert "Error: 'ftp://\\x1b' is not the address of a service" in done.stderr
