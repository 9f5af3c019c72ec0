"""The clients that ask a service in a container: OpenAI's, Moondream's, BentoML's, curl, and the page's way."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from deploy.verification.shell import Shell
from looksee.models.registry import REGISTRY

_ASSET = re.compile(r'(?:src|href)="([^"#:]+)"')


def drawn(number: int, side: int = 200) -> bytes:
    """A picture, another one for each number."""
    image = Image.new("RGB", (side, side), (number * 37 % 256, number * 91 % 256, 200))
    ImageDraw.Draw(image).ellipse((20 + number % 50, 30, 120, 130 + number % 40), fill=(220, 30, number % 256))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def openai_client(url: str, shell: Shell, folder: Path) -> str:
    import base64

    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=300)
    uri = f"data:image/png;base64,{base64.b64encode(drawn(1)).decode()}"
    content: list[Any] = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": uri}}]
    reply = client.chat.completions.create(model="gemma", messages=[{"role": "user", "content": content}])
    names = {model.id for model in client.models.list()}
    assert names >= set(REGISTRY), names
    assert reply.choices[0].message.content
    return f"openai {openai.__version__}: {reply.choices[0].message.content!r}"


def moondream_client(url: str, shell: Shell, folder: Path) -> str:
    import moondream

    model = moondream.vl(endpoint=f"{url}/v1")
    picture = Image.open(io.BytesIO(drawn(2)))
    caption, boxes = model.caption(picture)["caption"], model.detect(picture, "circle")["objects"]
    assert caption
    return f"{caption!r}, {len(boxes)} boxes"


def bentoml_client(url: str, shell: Shell, folder: Path) -> str:
    import base64

    import bentoml

    with bentoml.SyncHTTPClient(url, timeout=300) as client:
        answer = client.caption(image=base64.b64encode(drawn(3)).decode())
    assert answer["status"] == "success", answer
    return f"bentoml {bentoml.__version__}: {answer['caption']!r}"


def curl(url: str, shell: Shell, folder: Path) -> str:
    file = folder / "picture.png"
    file.write_bytes(drawn(4))
    command = ["curl", "--silent", "--show-error", "--fail", "-F", f"images=@{file}"]
    said = [json.loads(shell.run(*command, f"{url}/api/caption-images?model=blip", timeout=300)) for _ in range(2)]
    first, second = (one["results"][0] for one in said)
    assert second["cache"] is True, second
    assert first["caption"] == second["caption"]
    return f"{first['caption']!r}; the second time from the cache"


def page(url: str, shell: Shell, folder: Path) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        text = response.read().decode()
    found = sorted(set(_ASSET.findall(text)))
    assert found, "the page names no files"
    for name in found:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/{name.lstrip('/')}"), timeout=30) as response:
            assert response.status == 200
    return f"the page and its {len(found)} files"


def health(url: str, shell: Shell, folder: Path) -> str:
    with urllib.request.urlopen(f"{url}/health", timeout=30) as response:
        said = json.load(response)
    assert said["redis"] == "up", said
    return f"version {said['version']}, Redis {said['redis']}, {said['models']}"


CLIENTS = {
    "OpenAI's client": openai_client,
    "Moondream's client": moondream_client,
    "BentoML's client": bentoml_client,
    "curl": curl,
    "the page": page,
    "/health": health,
}


def caption(url: str, model: str, number: int, timeout: float = 300) -> int:
    """The status of a caption of a picture that no cache has; 0 for a connection that broke."""
    border = "looksee-verify"
    part = f'--{border}\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'.encode()
    body = part + drawn(number) + f"\r\n--{border}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={border}"}
    address = f"{url}/api/caption-images?model={model}&strict=true"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=timeout) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


@dataclass
class Questioner:
    """Clients that ask one after the other until they are told to stop; `statuses` counts the answers."""

    url: str
    models: list[str]
    statuses: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._next = int(time.time()) % 100_000 * 100
        self._threads: list[threading.Thread] = []

    def start(self, clients: int) -> None:
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, answers: int, seconds: float = 120) -> None:
        """Until there were so many answers."""
        end = time.monotonic() + seconds
        while sum(self.statuses.values()) < answers and time.monotonic() < end:
            time.sleep(0.1)

    def stop(self) -> dict[int, int]:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=330)
        return dict(sorted(self.statuses.items()))

    def _ask(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                self._next += 1
                number = self._next
            status = caption(self.url, self.models[number % len(self.models)], number)
            with self._lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1
            if status != 200:
                time.sleep(0.2)
