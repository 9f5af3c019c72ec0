"""Weights from a directory of safetensors files, by the published tensor names or those of earlier revisions.

The files must have exactly the network's tensors, in its shapes: more or fewer are another model's.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from looksee.core import errors
from looksee.models.moondream.config import Config
from looksee.models.moondream.network.network import Network

# Earlier revisions' names; a longer one is before one that it begins with (specification, section 8).
_LEGACY = (
    (r"vision_encoder\.encoder\.model\.visual\.patch_embed\.linear\.", "vision.patch_emb."),
    (r"vision_encoder\.encoder\.model\.visual\.pos_embed$", "vision.pos_emb"),
    (r"vision_encoder\.encoder\.model\.visual\.norm\.", "vision.post_ln."),
    (r"vision_encoder\.encoder\.model\.visual\.blocks\.(\d+)\.norm([12])\.", r"vision.blocks.\1.ln\2."),
    (r"vision_encoder\.encoder\.model\.visual\.blocks\.", "vision.blocks."),
    (r"vision_encoder\.projection\.mlp\.", "vision.proj_mlp."),
    (r"text_model\.transformer\.embd\.wte\.weight$", "text.wte"),
    (r"text_model\.transformer\.h\.(\d+)\.mixer\.Wqkv\.", r"text.blocks.\1.attn.qkv."),
    (r"text_model\.transformer\.h\.(\d+)\.mixer\.out_proj\.", r"text.blocks.\1.attn.proj."),
    (r"text_model\.transformer\.h\.", "text.blocks."),
    (r"text_model\.lm_head\.ln\.", "text.post_ln."),
    (r"text_model\.lm_head\.linear\.", "text.lm_head."),
    (r"region_model\.(coord|size)(?:inate)?_(encoder|decoder)\.", r"region.\1_\2."),
    (r"region_model\.(coord|size)(?:inate)?_features\.weight$", r"region.\1_features"),
)
_TRANSPOSED = re.compile(r"region_model\.\w+_features\.weight$")


def load(directory: Path, config: Config, *, device: torch.device, dtype: torch.dtype) -> Network:
    """The network with the weights in `directory`, moved to `device` as `dtype` tensor by tensor.

    Raises WeightsUnavailable.
    """
    tensors: dict[str, Tensor] = {}
    try:
        for file in sorted(directory.glob("*.safetensors")):
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                    native, tensor = _native(name, opened.get_tensor(name))
                    tensors[native] = tensor.to(device, dtype)
    except (OSError, SafetensorError) as error:
        raise errors.WeightsUnavailable(
            "The weights of 'moondream' are damaged and cannot be read.", retry_after=30
        ) from error
    with torch.device("meta"):
        network = Network(config)
    _compare({name: tensor.shape for name, tensor in network.state_dict().items()}, tensors)
    network.load_state_dict(tensors, assign=True)
    return network.requires_grad_(False).eval()


def _native(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    """The network's name of a stored tensor, and the tensor in the network's layout."""
    name = name.removeprefix("model.").replace("._orig_mod", "")
    if _TRANSPOSED.match(name):
        tensor = tensor.T.contiguous()
    for pattern, native in _LEGACY:
        changed, count = re.subn(f"^{pattern}", native, name)
        if count:
            return changed, tensor
    return name, tensor


def _compare(wanted: dict[str, torch.Size], found: dict[str, Tensor]) -> None:
    wrong = sorted(wanted.keys() ^ found.keys()) or sorted(
        name for name, shape in wanted.items() if found[name].shape != shape
    )
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise errors.WeightsUnavailable(
            f"The weights of 'moondream' are not those of its configuration: {', '.join(wrong[:3])}{more}.",
            retry_after=30,
        )
