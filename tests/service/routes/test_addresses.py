"""Pictures by address through the running service: fetched over TLS from a host that is allowed, and from no other."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bentoml
import httpx
import pytest

from tests.core.test_addresses import HOSTILE
from tests.service.routes.test_captioning import error
from tests.support import pictures
from tests.support.certificates import authority
from tests.support.listener import counting
from tests.support.picture_store import Store, storing
from tests.support.serving import ROOT, Service, serve

PICTURE, TEXT = pictures.scene("address")


@dataclass
class Fetching:
    """A service that may fetch from `store` by its name, and from any public host on `port`, which is this machine's;
    `callers` have been there.
    """

    service: Service
    store: Store
    port: int
    callers: list[str]

    def caption(self, image: str) -> httpx.Response:
        body = json.dumps({"image": image, "model": "blip"})
        return self.service.client.post("/caption", content=body, headers={"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetching]:
    trusted = authority(tmp_path_factory.mktemp("authority"))
    files = {"/a.png?size=1": PICTURE, "/text.png": pictures.TEXT}
    with storing(files, trusted.server("localhost")) as store, counting() as (port, callers):
        settings = {
            "LOOKSEE_IMAGE_URL_HOSTS": f"localhost:{store.port}, *:{port}, *",
            "LOOKSEE_IMAGE_URL_NETWORKS": "127.0.0.0/8, ::1/128",
            "LOOKSEE_IMAGE_URL_TIMEOUT_SECONDS": "5",
            "SSL_CERT_FILE": str(trusted.root),
            "HTTPS_PROXY": f"http://127.0.0.1:{port}",
        }
        with serve(redis_url="", **settings) as service:
            yield Fetching(service, store, port, callers)


def test_every_dialect_fetches(fetching: Fetching) -> None:
    url = f"{fetching.store.url}/a.png?size=1"
    assert fetching.caption(url).json()["caption"] == TEXT
    post = fetching.service.client.post
    assert post("/v1/caption", json={"image_url": url, "model": "blip"}).json()["caption"] == TEXT
    with bentoml.SyncHTTPClient(fetching.service.url) as client:
        assert client.caption(image=url, model="blip")["caption"] == TEXT
        sent = base64.b64encode(PICTURE).decode()
        results = client.caption_images(images=[url, sent, f"{fetching.store.url}/text.png"], model="blip")["results"]
    assert [result.get("caption") for result in results] == [TEXT, TEXT, None]
    assert results[2]["error"]["code"] == "unsupported_image_type"
    assert len(fetching.store.asked) == 5
    assert fetching.callers == []


def test_hostile_addresses_reach_nothing(fetching: Fetching) -> None:
    before = len(fetching.store.asked)
    port = fetching.port
    inward = [
        f"https://{host}:{port}/" for host in ("localhost", "LOCALHOST", "ip6-localhost", "localhost.localdomain")
    ]
    moved = [url.replace("127.0.0.1/", f"127.0.0.1:{port}/").replace("::1]/", f"::1]:{port}/") for url in HOSTILE]
    for url in dict.fromkeys([*HOSTILE, *moved, *inward, f"http://localhost:{port}/"]):
        answer = fetching.caption(url)
        if url in inward:
            assert error(answer) == (422, "image_not_fetched"), url
        elif "\ud800" in url:
            assert error(answer)[0] == 400  # no text at all
        else:
            assert error(answer) == (400, "image_url_not_allowed"), url
    for name in ("none.png", "a.png"):
        assert error(fetching.caption(f"{fetching.store.url}/{name}")) == (422, "image_not_fetched")
    assert len(fetching.store.asked) == before + 2
    assert fetching.callers == []


def test_the_log_has_no_path_of_an_address(fetching: Fetching) -> None:
    fetching.caption(f"{fetching.store.url}/none.png?key=s3cret")
    log = Path(fetching.service.log).read_text()
    assert "no picture from localhost: status 404" in log
    assert "s3cret" not in log


def test_no_native_method_has_a_field_that_bentoml_would_fetch() -> None:
    """A field of a file's or an image's type would make BentoML fetch what a caller puts there, by its own rules."""
    script = (
        "import json, service\n"
        "print(json.dumps([method.input_spec.model_json_schema() for method in service.Looksee.apis.values()]))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    schemas = json.loads(ended.stdout.splitlines()[-1])
    assert len(schemas) >= 6
    kinds = {field.get("type") for schema in schemas for field in schema["properties"].values() if "type" in field}
    assert kinds <= {"string", "array", "integer", "number", "boolean"}
    assert "binary" not in ended.stdout
    assert "image/" not in ended.stdout
