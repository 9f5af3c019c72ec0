"""Pictures from their addresses: what is fetched, from whom, and how little a hostile host can do."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.addresses import Allowlist
from looksee.http.inputs import fetching
from looksee.http.inputs.fetching import Fetcher
from looksee.settings import Settings
from tests.core.test_addresses import HOSTILE
from tests.support.certificates import Authority, authority
from tests.support.files import plain
from tests.support.listener import Listener, Script, answer, counting, listening
from tests.support.loops import run

PICTURE = plain()
HOST = "pictures.test"
HERE = "127.0.0.0/8"
MOST = 100_000


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


class Names:
    """A name server: each look-up of a name gets the next of its answers, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), list[str]()

    def __call__(self, host: str, _: int) -> Sequence[str]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not found:
            raise socket.gaierror("no such name")
        return found


def fetch(
    trusted: Authority,
    scripts: dict[str, Script],
    path: str = "/a.png",
    *,
    names: Names | None = None,
    certified: str = HOST,
    timeout: float = 5,
    scheme: str = "https",
    check: Callable[[Listener], Any] = lambda listener: None,
) -> bytes:
    """What is fetched from a listener that plays `scripts` and is called HOST."""

    async def main() -> bytes:
        tls = trusted.server(certified) if scheme == "https" else None
        async with listening(scripts, tls) as listener:
            fetcher = Fetcher(
                Allowlist.parse(f"{HOST}:{listener.port}", HERE),
                max_bytes=MOST,
                timeout=timeout,
                resolve=names or Names(["127.0.0.1"]),
                tls=trusted.client,
            )
            try:
                return await fetcher.fetch(f"{scheme}://{HOST}:{listener.port}{path}", param="image")
            finally:
                check(listener)
                await asyncio.sleep(0)

    return run(main())


def refused(trusted: Authority, scripts: dict[str, Script], path: str = "/a.png", **options: Any) -> str:
    """The message of a picture that could not be fetched."""
    with pytest.raises(errors.ImageNotFetched) as caught:
        fetch(trusted, scripts, path, **options)
    assert caught.value.param == "image"
    return caught.value.message


def test_a_picture_is_fetched_over_tls(trusted: Authority) -> None:
    heard: list[str] = []
    found = fetch(
        trusted,
        {"/a%20b.png?c=%2F&d": answer(PICTURE)},
        "/a%20b.png?c=%2F&d#e",
        check=lambda one: heard.extend(one.heard),
    )
    assert found == PICTURE
    (request,) = heard
    lines = request.lower().split("\r\n")
    assert lines[0] == "get /a%20b.png?c=%2f&d http/1.1"
    assert lines[1].startswith(f"host: {HOST}:")
    assert "accept-encoding: identity" in lines
    assert not [line for line in lines if line.startswith(("cookie", "authorization", "referer", "proxy"))]


def test_a_picture_is_fetched_over_http_within_a_named_network(trusted: Authority) -> None:
    assert fetch(trusted, {"/a.png": answer(PICTURE)}, scheme="http") == PICTURE


def test_a_picture_may_come_in_chunks(trusted: Authority) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(PICTURE), PICTURE)
    assert fetch(trusted, {"/a.png": answer(chunks, "Transfer-Encoding: chunked")}) == PICTURE


@pytest.mark.parametrize("url", HOSTILE)
def test_what_is_no_plain_url_reaches_neither_resolver_nor_host(url: str) -> None:
    names = Names(["127.0.0.1"])
    with counting() as (port, callers):
        fetcher = Fetcher(Allowlist.parse(f"*, *:{port}", ""), max_bytes=MOST, timeout=5, resolve=names)
        for one in (url, url.replace(".org/", f".org:{port}/"), url.replace("0.0.1/", f"0.0.1:{port}/")):
            with pytest.raises(errors.ImageUrlNotAllowed if one == url else errors.LookseeError):
                run(fetcher.fetch(one, param="image"))
    assert callers == []


# Names that resolve to this machine, to what stands for it elsewhere, or to it among others.
INWARD: list[list[str]] = [
    ["127.0.0.1"],
    ["127.1.2.3"],
    ["0.0.0.0"],
    ["::1"],
    ["::"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["2002:7f00:1::"],
    ["10.0.0.1"],
    ["169.254.169.254"],
    ["100.64.0.1"],
    ["fd00::1"],
    ["fe80::1%lo"],
    ["224.0.0.1"],
    ["93.184.215.14", "127.0.0.1"],
    ["127.0.0.1", "93.184.215.14"],
    ["2606:4700::1111", "::1"],
    [],
]


@pytest.mark.parametrize("found", INWARD)
@pytest.mark.parametrize("host", ["rebound.test", "localhost", "metadata.google.internal", "LOCALHOST"])
def test_a_name_that_leads_inward_is_not_connected_to(host: str, found: list[str]) -> None:
    names = Names(found)
    with counting() as (port, callers):
        fetcher = Fetcher(Allowlist.parse(f"*:{port}, {host}:{port}", ""), max_bytes=MOST, timeout=5, resolve=names)
        with pytest.raises(errors.ImageNotFetched):
            run(fetcher.fetch(f"https://{host}:{port}/", param="image"))
    assert names.asked == [host.lower()]
    assert callers == []


def test_the_systems_own_resolver_is_no_way_in() -> None:
    with counting() as (port, callers):
        fetcher = Fetcher(Allowlist.parse(f"*:{port}, localhost:{port}", ""), max_bytes=MOST, timeout=5)
        with pytest.raises(errors.ImageNotFetched):
            run(fetcher.fetch(f"https://localhost:{port}/", param="image"))
        assert callers == []
        inside = Allowlist.parse(f"localhost:{port}", "127.0.0.0/8, ::1/128")  # that it was there to be reached
        with pytest.raises(errors.ImageNotFetched):
            run(Fetcher(inside, max_bytes=MOST, timeout=5).fetch(f"http://localhost:{port}/", param="image"))
        assert callers


def test_when_it_is_off_nothing_is_looked_up() -> None:
    names = Names(["127.0.0.1"])
    fetcher = Fetcher(Allowlist.parse("", HERE), max_bytes=MOST, timeout=5, resolve=names)
    with pytest.raises(errors.ImageUrlNotAllowed):
        run(fetcher.fetch(f"https://{HOST}/a.png", param="image"))
    assert names.asked == []


def test_a_name_that_changes_its_answer_changes_nothing(trusted: Authority) -> None:
    """What was checked is connected to, though the name leads to another machine by then; also after redirects."""
    names = Names(["127.0.0.1"], ["127.0.0.2"], ["10.0.0.1"])
    scripts: dict[str, Script] = {
        "/a.png": answer(b"", "Location: /b.png", status="302 Found"),
        "/b.png": answer(PICTURE),
    }
    assert fetch(trusted, scripts, names=names) == PICTURE
    assert names.asked == [HOST]


def test_no_connection_goes_anywhere_but_to_what_was_checked(
    trusted: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver would lead elsewhere, and so would proxies of the environment."""

    def lead_astray(host: Any, port: Any, *_: Any, **__: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.9", 9))]

    asked: list[str] = []
    own = socket.getaddrinfo

    def numbers_only(host: Any, *rest: Any, **named: Any) -> Any:
        return own(host, *rest, **named) if host == "127.0.0.1" else lead_astray(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", numbers_only)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.9:9")
    assert fetch(trusted, {"/a.png": answer(PICTURE)}) == PICTURE
    assert fetch(trusted, {"/a.png": answer(PICTURE)}, scheme="http") == PICTURE
    assert asked == []


def test_a_host_must_show_its_own_certificate(trusted: Authority) -> None:
    refused(trusted, {"/a.png": answer(PICTURE)}, certified="evil.test")


def test_a_host_must_show_a_certificate_of_an_authority_that_is_trusted(trusted: Authority, tmp_path: Path) -> None:
    async def main() -> bytes:
        async with listening({"/": answer(PICTURE)}, authority(tmp_path).server(HOST)) as listener:
            allowlist = Allowlist.parse(f"{HOST}:{listener.port}", HERE)
            for tls in (trusted.client, ssl.create_default_context):
                fetcher = Fetcher(allowlist, max_bytes=MOST, timeout=5, resolve=Names(["127.0.0.1"]), tls=tls)
                with pytest.raises(errors.ImageNotFetched):
                    await fetcher.fetch(f"https://{HOST}:{listener.port}/", param="image")
            assert listener.heard == []
        return b""

    run(main())


@pytest.mark.parametrize("status", ["301 A", "302 B", "303 C", "307 D", "308 E"])
def test_redirects_within_the_host_are_followed(trusted: Authority, status: str) -> None:
    scripts: dict[str, Script] = {f"/{n}": answer(b"", f"Location: {n + 1}", status=status) for n in range(3)}
    heard: list[str] = []
    found = fetch(trusted, {**scripts, "/3": answer(PICTURE)}, "/0", check=lambda one: heard.extend(one.heard))
    assert found == PICTURE
    assert len(heard) == 4


def test_more_redirects_are_not(trusted: Authority) -> None:
    heard: list[str] = []
    scripts: dict[str, Script] = {f"/{n}": answer(b"", f"Location: {n + 1}", status="302 Found") for n in range(9)}
    refused(trusted, scripts, "/0", check=lambda one: heard.extend(one.heard))
    assert len(heard) == 4
    refused(trusted, {"/": answer(b"", "Location: /", status="302 Found")}, "/")


@pytest.mark.parametrize(
    "location",
    [
        "http://pictures.test:{port}/b.png",
        "https://localhost:{port}/b.png",
        "https://127.0.0.1:{port}/b.png",
        "//127.0.0.1:{port}/b.png",
        "https://pictures.test:{other}/b.png",
        "http://127.0.0.1:{other}/",
        "https://127.0.0.1:{other}/",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "gopher://127.0.0.1:{other}/_FLUSHALL",
        "\u00e4",
        "\udcff",
        "",
    ],
)
def test_a_redirect_that_leads_elsewhere_ends_it(trusted: Authority, location: str) -> None:
    with counting() as (other, callers):

        async def play(writer: asyncio.StreamWriter) -> None:
            port = writer.get_extra_info("sockname")[1]
            told = f"Location: {location.format(port=port, other=other)}"
            writer.write(answer(b"", *([told] if location else []), status="302 Found"))
            await writer.drain()

        heard: list[str] = []
        scripts: dict[str, Script] = {"/a.png": play, "/b.png": answer(PICTURE)}
        if location:
            refused(trusted, scripts, check=lambda one: heard.extend(one.heard))
        else:  # no Location: the same path once more, until it has been enough
            refused(trusted, scripts)
            heard = ["once"]
        assert len(heard) == 1
        assert callers == []


async def _silence(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def _slow_header(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-A: b\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _early_hints(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _slow_body(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"", f"Content-Length: {MOST}"))
    while True:
        writer.write(b"\x89")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("script", [_silence, _slow_header, _early_hints, _slow_body])
def test_a_slow_host_is_left(trusted: Authority, script: Script) -> None:
    left: list[bool] = []

    async def play(writer: asyncio.StreamWriter) -> None:
        assert callable(script)
        try:
            await script(writer)
        finally:
            left.append(True)

    refused(trusted, {"/a.png": play}, timeout=0.5)
    assert left == [True]


def test_a_host_that_never_shakes_hands_is_left(trusted: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        fetcher = Fetcher(
            Allowlist.parse(f"{HOST}:{port}", HERE),
            max_bytes=MOST,
            timeout=0.5,
            resolve=Names(["127.0.0.1"]),
            tls=trusted.client,
        )
        with pytest.raises(errors.ImageNotFetched):
            run(fetcher.fetch(f"https://{HOST}:{port}/", param="image"))


def test_a_name_server_that_hangs_is_left_and_holds_up_nobody_else(trusted: Authority) -> None:
    free = threading.Event()

    def hang(_: str, __: int) -> list[str]:
        free.wait(20)
        return ["127.0.0.1"]

    async def main() -> bytes:
        fetcher = Fetcher(Allowlist.parse("*", ""), max_bytes=MOST, timeout=0.2, resolve=hang)
        work = [fetcher.fetch("https://slow.test/", param="image") for _ in range(fetching._AT_ONCE)]
        for found in await asyncio.gather(*work, return_exceptions=True):
            assert isinstance(found, errors.ImageNotFetched)
        return await asyncio.to_thread(lambda: b"free")

    try:
        assert run(main()) == b"free"
    finally:
        free.set()


async def _endless(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"", "Transfer-Encoding: chunked"))
    while True:
        writer.write(b"2000\r\n" + b"\x89" * 0x2000 + b"\r\n")
        await writer.drain()


async def _until_the_end(writer: asyncio.StreamWriter) -> None:
    """No length at all: the body ends with the connection, which never does."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"\x89" * 0x2000)
        await writer.drain()


@pytest.mark.parametrize(
    "script",
    [
        _endless,
        _until_the_end,
        answer(b"\x89" * (MOST + 1)),
        answer(b"\x89", f"Content-Length: {MOST + 1}"),
        answer(b"\x89", "Content-Length: 99999999999999999"),
    ],
)
def test_a_file_that_is_too_large_is_not_read_to_its_end(trusted: Authority, script: Script) -> None:
    with pytest.raises(errors.FileTooLarge) as caught:
        fetch(trusted, {"/a.png": script})
    assert (caught.value.param, caught.value.message) == (
        "image",
        "The file has more than 0.1 MiB; MAX_CONTENT_LENGTH raises the limit.",
    )


def test_a_file_of_just_the_limit_is_read(trusted: Authority) -> None:
    assert len(fetch(trusted, {"/a.png": answer(b"\x89" * MOST)})) == MOST


def test_a_compressed_bomb_is_not_unpacked(trusted: Authority) -> None:
    bomb = gzip.compress(b"\x89" * 50_000_000)
    assert len(bomb) < MOST
    assert fetch(trusted, {"/a.png": answer(bomb, "Content-Encoding: gzip")}) == bomb


GARBAGE: list[Script] = [
    b"",
    b"\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"-ERR unknown command\r\n",
    b"HTTP/1.1 200\r\n",
    b"HTTP/9.9 999 Strange\r\n\r\n",
    answer(PICTURE, "Content-Length: -1"),
    answer(PICTURE, "Content-Length: 0x10"),
    answer(PICTURE, "Content-Length: 5", "Content-Length: 6"),
    answer(PICTURE, f"Content-Length: {len(PICTURE) + 1}"),
    answer(b"zz\r\n", "Transfer-Encoding: chunked"),
    answer(b"5\r\nabc", "Transfer-Encoding: chunked"),
    answer(b"", "X-Long: " + "a" * 100_000),
    answer(b"", *(f"X-{n}: a" for n in range(10_000))),
    answer(b"", "Upgrade: websocket", "Connection: upgrade", status="101 Switching Protocols"),
    *(answer(PICTURE, status=status) for status in ("201 Created", "206 Partial", "404 Not Found", "500 Oh")),
    answer(b"", status="204 No Content"),
    answer(b"", "Location: /a.png", status="304 Not Modified"),
    answer(b"", "WWW-Authenticate: Basic", status="401 Who are you"),
]


@pytest.mark.parametrize("script", GARBAGE)
def test_nothing_of_an_answer_that_is_none_is_told(trusted: Authority, script: Script) -> None:
    expected = refused(trusted, {"/a.png": b""})
    assert refused(trusted, {"/a.png": script}) == expected


def test_refused_closed_filtered_and_unknown_are_told_alike(trusted: Authority) -> None:
    """Else a caller could look around: which names there are, which ports answer."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    private = [Names(["10.0.0.1"]), Names(["127.0.0.1"]), Names([])]
    told: set[tuple[int, str, str, str | None, int | None]] = set()
    for names, networks in ((private[0], ""), (private[1], ""), (private[2], ""), (private[1], HERE)):
        fetcher = Fetcher(Allowlist.parse(f"{HOST}:{port}", networks), max_bytes=MOST, timeout=5, resolve=names)
        with pytest.raises(errors.LookseeError) as caught:
            run(fetcher.fetch(f"https://{HOST}:{port}/", param="image"))
        error = caught.value
        told.add((error.status, error.code, error.message, error.param, error.retry_after))
    for script in (
        b"",
        answer(b"secret", status="500 secret"),
        answer(b"", "Location: //10.0.0.1", status="302 Found"),
    ):
        message = refused(trusted, {"/a.png": script})
        told.add((422, "image_not_fetched", message, "image", None))
    assert len(told) == 1, told
    ((_, _, message, _, _),) = told
    assert "secret" not in message


def test_what_is_fetched_is_in_the_log_without_path_or_query(
    trusted: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="looksee.api")
    refused(trusted, {"/a.png?key=s3cret": answer(b"", status="403 Forbidden")}, "/a.png?key=s3cret")
    assert f"no picture from {HOST}: status 403" in caplog.text
    assert "s3cret" not in caplog.text


def test_only_a_few_are_fetched_at_a_time_and_the_others_wait(trusted: Authority) -> None:
    running, most = 0, 0

    async def play(writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1
        writer.write(answer(PICTURE))
        await writer.drain()

    async def main() -> list[bytes]:
        async with listening({"/": play}, trusted.server(HOST)) as listener:
            allowlist = Allowlist.parse(f"{HOST}:{listener.port}", HERE)
            fetcher = Fetcher(allowlist, max_bytes=MOST, timeout=5, resolve=Names(["127.0.0.1"]), tls=trusted.client)
            url = f"https://{HOST}:{listener.port}/"
            return await asyncio.gather(*(fetcher.fetch(url, param="image") for _ in range(20)))

    assert run(main()) == [PICTURE] * 20
    assert 1 < most <= 8


def test_who_waits_too_long_for_others_is_told_to_come_again(trusted: Authority) -> None:
    async def main() -> list[bytes | BaseException]:
        async with listening({"/": _silence}, trusted.server(HOST)) as listener:
            allowlist = Allowlist.parse(f"{HOST}:{listener.port}", HERE)
            fetcher = Fetcher(allowlist, max_bytes=MOST, timeout=1.5, resolve=Names(["127.0.0.1"]), tls=trusted.client)
            url = f"https://{HOST}:{listener.port}/"
            work = [asyncio.create_task(fetcher.fetch(url, param="image")) for _ in range(8)]
            await asyncio.sleep(0.05)
            fetcher._timeout = 0.2  # of those that come now
            late = await asyncio.gather(fetcher.fetch(url, param="image"), return_exceptions=True)
            await asyncio.gather(*work, return_exceptions=True)
            fetcher._timeout = 1.5
            again = await asyncio.gather(fetcher.fetch(url, param="image"), return_exceptions=True)
            return [*late, *again]

    late, again = run(main())
    assert isinstance(late, errors.Overloaded)
    assert late.retry_after == 1
    assert isinstance(again, errors.ImageNotFetched), "the places are free again"


def test_a_fetch_that_is_given_up_lets_go_of_the_host(trusted: Authority) -> None:
    async def main() -> bytes:
        async with listening({"/": _silence}, trusted.server(HOST)) as listener:
            allowlist = Allowlist.parse(f"{HOST}:{listener.port}", HERE)
            fetcher = Fetcher(allowlist, max_bytes=MOST, timeout=60, resolve=Names(["127.0.0.1"]), tls=trusted.client)
            work = asyncio.create_task(fetcher.fetch(f"https://{HOST}:{listener.port}/", param="image"))
            await listener.came.wait()
            work.cancel()
            await listener.gone.wait()
        return b""

    run(main())


def test_a_process_has_one_fetcher_for_its_settings() -> None:
    some = Settings.model_construct(image_url_hosts="example.org")
    assert Fetcher.of(some) is Fetcher.of(Settings.model_construct(image_url_hosts="example.org"))
    assert Fetcher.of(some) is not Fetcher.of(Settings.model_construct(image_url_hosts="example.com"))
