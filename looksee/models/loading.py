"""Loading a model by its name: its class, device, dtype and linear layers."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from looksee.core import errors
from looksee.models.arithmetic import machine
from looksee.models.arithmetic.rules import Arithmetic, resolve
from looksee.models.interface import Model
from looksee.models.linears import blocked, int8
from looksee.models.linears.replacing import HasNetworks, replace_linears, weight_bytes
from looksee.models.registry import REGISTRY

logger = logging.getLogger("looksee.models")


def module(name: str) -> str:
    """The module of the model's class."""
    return REGISTRY[name].model_class.partition(":")[0]


def load(
    name: str, directory: Path, *, device: str, dtype: str, samples: bool = False, graph_rows: int = 0, **options: Any
) -> Model[Any, Any]:
    """The model in `directory`, ready for its first batch.

    `device` is a torch device or `auto`: the first CUDA device, else MPS, else the CPU. `dtype` is a torch dtype's
    name, `int8` or `auto`. What they mean, for the sample weights where `samples` says so, is in
    `looksee.models.arithmetic.rules`. `graph_rows` is the largest batch
    whose steps are replayed as CUDA graphs, 0 for none. `options` are those of the model's class. Raises
    WeightsUnavailable when this installation cannot load any model, for a dtype that the model or the device cannot do,
    or for a checkpoint that the class refuses.
    """
    refuse_broken_torchvision()
    chosen = settled(name, device=device, dtype=dtype, samples=samples)
    cls = REGISTRY[name].model_class.partition(":")[2]
    model_class = getattr(import_module(module(name)), cls)
    made: Any = model_class(directory, device=torch.device(chosen.device), dtype=_torch_dtype(chosen), **options)
    if isinstance(made, HasNetworks):
        replace_linears(made, chosen)
        _report(name, made, chosen)
    elif chosen.linears == "int8":
        raise errors.WeightsUnavailable(f"'{name}' has no linear layers that could be int8.", retry_after=30)
    if graph_rows:
        made.capture_steps(graph_rows)
    model: Model[Any, Any] = made
    return model


def _report(name: str, model: HasNetworks, chosen: Arithmetic) -> None:
    """One line of what computes, and how."""
    layers = {"plain": "plain", "blocked": "blocked", "int8": "decoder int8" if chosen.amx else "int8"}[chosen.linears]
    logger.info(
        "%s: on %s, %s, %s linear layers, %d threads, %.0f MiB of weights%s",
        *(name, chosen.device, chosen.dtype, layers, torch.get_num_threads(), weight_bytes(model) / 2**20),
        f"; {chosen.note}" if chosen.note else "",
    )


def settled(name: str, *, device: str, dtype: str, samples: bool = False) -> Arithmetic:
    """What the model computes with, after int8 linear layers were tried out, where they are asked for.

    Raises WeightsUnavailable.
    """
    chosen = resolve(REGISTRY[name], machine.found(device), device=device, dtype=dtype, samples=samples)
    if chosen.linears == "int8":
        if not int8.available():
            raise errors.WeightsUnavailable(
                f"'{name}' cannot be loaded in int8: torch {torch.__version__} lacks the operators for it. Set "
                f"LOOKSEE_{name.upper()}_DTYPE to another dtype or to auto.",
                retry_after=30,
            )
        if not int8.pays(_torch_dtype(chosen)):
            chosen = chosen.without_int8()
    if chosen.linears == "blocked" and not blocked.available():
        logger.warning("plain linear layers: torch %s cannot make blocked ones here", torch.__version__)
        chosen = replace(chosen, linears="plain")
    return chosen


def _torch_dtype(chosen: Arithmetic) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, chosen.dtype)
    return dtype


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
