"""Reading a checkpoint with the library, which takes one that is not whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from looksee.core import errors

_NAMED = 3  # tensors in an error


def network(architecture: Any, directory: Path, *, device: torch.device, dtype: torch.dtype) -> Any:
    """The network of a class of transformers, with the weights in `directory`, on `device` as `dtype`.

    transformers 5.23 fills what a checkpoint lacks with random numbers and logs that: a file of another model, or of a
    download that was put together wrongly, would answer. Raises WeightsUnavailable for it, and what the library raises.
    """
    net, report = architecture.from_pretrained(
        directory, dtype=dtype, device_map={"": device}, output_loading_info=True
    )
    missing = sorted(report["missing_keys"])
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise errors.WeightsUnavailable(
            f"The weights are not those of their configuration: {', '.join(missing[:_NAMED])}{more} are missing.",
            retry_after=30,
        )
    return net
