"""Label Studio's requests to its ML backend, whose pictures lie at a Label Studio that asks for its token."""

from __future__ import annotations

import functools
import json
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

from adapters.label_studio_backend import LabelStudioBackend, make_app
from adapters.remote import Remote

TOKEN = "a-token"
CONFIGURATION = """
<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="boxes" toName="image">
    <Label value="round" prompt="circle"/><Label value="square"/><Label value="triangle"/><Label value="cross"/>
  </RectangleLabels>
  <KeyPointLabels name="points" toName="image"><Label value="shape"/></KeyPointLabels>
  <TextArea name="caption" toName="image"/>
  <Choices name="count" toName="image" prompt="How many shapes are there?">
    <Choice value="one"/><Choice value="two"/><Choice value="three"/>
  </Choices>
  <Choices name="there" toName="image" choice="multiple">
    <Choice value="circle"/><Choice value="square"/><Choice value="triangle"/><Choice value="cross"/>
  </Choices>
  <TextArea name="region" toName="image" perRegion="true"/>
</View>
"""


class LabelStudioFiles(SimpleHTTPRequestHandler):
    """`/data/upload/1/<name>`, for whoever has the token."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != f"Token {TOKEN}":
            self.send_error(401)
            return
        self.path = "/" + self.path.rpartition("/")[2]
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def main(url: str, folder: str) -> None:
    files = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(LabelStudioFiles, directory=folder))
    threading.Thread(target=files.serve_forever, daemon=True).start()
    studio = make_app(Remote(url)).test_client()
    project = {"project": "1.1700000000", "label_config": CONFIGURATION}
    told = {
        "health": studio.get("/health").get_json()["status"],
        "setup": studio.post(
            "/setup",
            json={
                "project": project["project"],
                "schema": CONFIGURATION,
                "hostname": f"http://127.0.0.1:{files.server_port}",
                "access_token": TOKEN,
            },
        ).status_code,
        "versions": studio.post("/versions", json=project).status_code,
        "package": version("label-studio-ml"),
    }
    names = sorted(path.name for path in Path(folder).glob("*.png"))
    tasks = [{"id": number, "data": {"image": f"/data/upload/1/{name}"}} for number, name in enumerate(names)]
    lost = {"id": len(tasks), "data": {"image": "/data/upload/1/lost.png"}}
    answer = studio.post("/predict", json={**project, "tasks": [*tasks, lost], "params": {"login": None}})
    LabelStudioBackend.remote = Remote("http://127.0.0.1:9")
    unreachable = studio.post("/predict", json={**project, "tasks": tasks, "params": {}})
    files.shutdown()
    print(json.dumps({**told, "predicted": answer.get_json(), "unreachable": unreachable.get_json()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
