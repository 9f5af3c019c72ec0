"""X-AnyLabeling's own client of remote servers, without its window."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from anylabeling.services.auto_labeling import model as base
from anylabeling.services.auto_labeling.remote_server import RemoteServer


def main(url: str, folder: str) -> None:
    heard: list[str] = []
    settings = {"server_url": f"{url}/x-anylabeling", "api_key": os.environ["LOOKSEE_KEY"]}
    base.get_config = lambda *_: {"remote_server_settings": settings}
    config = {"type": "remote_server", "display_name": "Remote", "timeout": 90}
    client = RemoteServer(config, heard.append)
    available = client.get_available_models()

    def asked(model: str, task: str, file: str, text: str | None = None) -> dict[str, Any]:
        client.set_model_id(model)
        client.set_task(task)
        result = client.predict_shapes(object(), file, text_prompt=text)
        shapes = [
            {"label": one.label, "kind": one.shape_type, "points": [[point.x(), point.y()] for point in one.points]}
            for one in result.shapes
        ]
        return {"shapes": shapes, "description": result.description, "replace": result.replace}

    files = sorted(map(str, Path(folder).glob("*.png")))
    told = [
        {
            "caption": asked("blip", "caption", file),
            "count": asked("gemma", "query", file, "How many shapes are there?"),
            "boxes": asked("moondream", "detect", file, "circle, square, triangle, cross."),
            "points": asked("moondream", "point", file, "shape"),
        }
        for file in files
    ]
    before = list(heard)
    asked("blip", "detect", files[0], "circle")
    package = version("x-anylabeling-cvhub")
    print(json.dumps({"package": package, "models": available, "files": told, "heard": before, "refused": heard[-1:]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
