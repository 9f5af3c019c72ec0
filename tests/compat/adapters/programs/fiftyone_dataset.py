"""FiftyOne's samples with the labels of the model. Without its database: what `apply_model` calls is called here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import fiftyone
import fiftyone.core.models as fom
import fiftyone.utils.image as foui

from adapters.fiftyone_model import LookseeModel
from adapters.remote import Remote, RemoteError

SHAPES = ["circle", "square", "triangle", "cross"]


def main(url: str, folder: str) -> None:
    names = sorted(map(str, Path(folder).glob("*.png")))
    samples = [fiftyone.Sample(filepath=name) for name in names]
    remote = Remote(url)
    models = {
        "caption": LookseeModel(remote=remote),
        "count": LookseeModel("query", "How many shapes are there?", remote),
        "there": LookseeModel("classify", SHAPES, remote),
        "boxes": LookseeModel("detect", SHAPES, remote),
        "points": LookseeModel("point", "shape", remote),
    }
    for field, model in models.items():
        assert isinstance(model, fom.Model)
        assert model.media_type == "image"
        assert fom._parse_batch_size(16, model, False) == 16
        with model:
            found = model.predict_all([foui.read(sample.filepath) for sample in samples])
        for sample, labels in zip(samples, found, strict=True):
            sample.add_labels(labels, label_field=field, confidence_thresh=None, classes=None)
    told: dict[str, Any] = {"package": fiftyone.__version__, "samples": [sample.to_dict() for sample in samples]}
    try:
        LookseeModel(remote=Remote(url, model="yolo")).predict(foui.read(names[0]))
    except RemoteError as error:
        told["refused"] = str(error)
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
