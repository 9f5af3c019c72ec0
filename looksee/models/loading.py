"""Loading a model by its name: its class, device and dtype."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from looksee.core import errors
from looksee.models.interface import Model
from looksee.models.registry import REGISTRY

logger = logging.getLogger("looksee.models")


def module(name: str) -> str:
    """The module of the model's class."""
    return REGISTRY[name].model_class.partition(":")[0]


def load(
    name: str, directory: Path, *, device: str, dtype: str, graph_rows: int = 0, **options: Any
) -> Model[Any, Any]:
    """The model in `directory`, ready for its first batch.

    `device` is a torch device or `auto`: the first CUDA device, else MPS, else the CPU. `dtype` is a torch dtype's name
    or `auto`: bfloat16 on an accelerator, float32 on a CPU. `graph_rows` is the largest batch whose steps are replayed
    as CUDA graphs, 0 for none. `options` are those of the model's class. Raises WeightsUnavailable when this
    installation cannot load any model, or a checkpoint that the class refuses.
    """
    refuse_broken_torchvision()
    cls = REGISTRY[name].model_class.partition(":")[2]
    torch_device = torch.device(device if device != "auto" else _best_device())
    torch_dtype = torch.bfloat16 if torch_device.type != "cpu" else torch.float32
    if dtype != "auto":
        torch_dtype = getattr(torch, dtype)
    model_class = getattr(import_module(module(name)), cls)
    model = model_class(directory, device=torch_device, dtype=torch_dtype, **options)
    if graph_rows:
        model.capture_steps(graph_rows)
    loaded: Model[Any, Any] = model
    return loaded


def refuse_broken_torchvision() -> None:
    """Raises WeightsUnavailable for a torchvision that is installed but cannot be imported.

    No model needs torchvision. But transformers 5.23 uses it wherever it is installed, and where its import fails (when
    it was built for another torch: "operator torchvision::nms does not exist") no processor can be loaded.
    """
    if find_spec("torchvision") is None:
        return
    try:
        import_module("torchvision")
    except Exception as error:
        logger.exception("torchvision is installed here and cannot be imported")
        raise errors.WeightsUnavailable(
            "No model can be loaded: torchvision is installed with the service and does not work with its torch "
            f"{torch.__version__}. Looksee does not need it: `pip uninstall torchvision`, or install the release that "
            "was made for this torch.",
            retry_after=30,
        ) from error


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"
