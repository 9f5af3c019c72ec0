"""`looksee caption` as a program, before an HTTP server that is killed in the middle of an answer and comes back."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.support.files import plain
from tests.support.serving import CLEAN, ROOT, free_port

COUNT = 90
# Answers a picture every few milliseconds, and writes down each that it answered.
SERVER = """
import asyncio, json, sys
from aiohttp import web

async def batch(request):
    body = await request.json()
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    for index, item in enumerate(body["items"]):
        await asyncio.sleep(0.005)
        line = {"index": index, "id": None, "status": 200, "caption": item["prompt"]}
        await response.write(json.dumps(line).encode() + b"\\n")
    await response.write(b'{"done": true}\\n')
    return response

app = web.Application(client_max_size=2**30)
app.router.add_post("/v1/batch", batch)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, shutdown_timeout=0.1)
"""


def test_a_killed_server_that_comes_back_is_asked_for_the_rest(tmp_path: Path) -> None:
    for number in range(COUNT):
        (tmp_path / f"{number}.png").write_bytes(plain())
    record = tmp_path / "captions.jsonl"
    port = free_port()

    def serve() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SERVER, str(port)])

    def lines() -> int:
        return record.read_bytes().count(b"\n") if record.exists() else 0

    def wait_for(count: int) -> None:
        end = time.monotonic() + 60
        while lines() < count and time.monotonic() < end:
            assert program.poll() is None
            time.sleep(0.005)

    server = serve()
    command = [sys.executable, "-m", "looksee", "caption", str(tmp_path), "--prompt", "{name}", "--sidecar", ".txt"]
    command += ["--url", f"http://127.0.0.1:{port}", "--json", "--concurrency", "1"]
    env = {**CLEAN, "PYTHONPATH": str(ROOT)}
    try:
        _until_listening(port)
        program = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_for(10)
            server.kill()
            server.wait()
            before = lines()
            assert before < COUNT
            server = serve()
            out, err = program.communicate(timeout=60)
        finally:
            program.kill()
    finally:
        server.kill()
        server.wait()
    assert program.returncode == 0, err
    assert "Waiting for it." in err
    found = [json.loads(line) for line in record.read_text().splitlines()]
    assert set(Counter(line["file"] for line in found).values()) == {1}
    assert {line["file"]: line["caption"] for line in found} == {
        f"{number}.png": str(number) for number in range(COUNT)
    }
    assert {path.stem: path.read_text() for path in tmp_path.glob("*.txt")} == {
        str(number): str(number) for number in range(COUNT)
    }
    summary = json.loads(out)
    assert (summary["answered"], summary["failed"]) == (COUNT, [])


def _until_listening(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("the server does not listen")
