"""Taking a decoder's layers from the library's modules, and refusing those with parts that are not written out here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from torch import nn

from looksee.core import errors
from looksee.models.core.decoder import DecoderBlock

BlockT = TypeVar("BlockT", bound=DecoderBlock)

# Rotations by frequencies that do not change. `dynamic` ones begin to change behind `max_position_embeddings`, and rows
# do not get that long.
_ROPE_TYPES = ("default", "linear", "dynamic")


def take_layers(layers: nn.ModuleList, block: Callable[[Any, int], BlockT]) -> list[BlockT]:
    """`block(layer, index)` for each of a module's layers, which is dropped before the next one is taken.

    So what a block copies of its layer exists twice for one block at a time.
    """
    blocks = []
    for index in range(len(layers)):
        blocks.append(block(layers[index], index))
        layers[index] = nn.Identity()
    return blocks


def require(config: Any, **accepted: Any) -> None:
    """Raises WeightsUnavailable for a decoder configuration in which one of these has another value.

    A configuration that lacks the name passes: transformers' older releases wrote fewer of them.
    """
    for name, value in accepted.items():
        found = getattr(config, name, value)
        if found != value:
            _refuse(config, name, found, repr(value))


def require_layers(config: Any, *accepted: str) -> None:
    """Raises WeightsUnavailable for a decoder with a layer whose attention is of none of these types."""
    for found in getattr(config, "layer_types", None) or ():
        if found not in accepted:
            _refuse(config, "layer_types", found, " or ".join(map(repr, accepted)))


def require_rope(config: Any, parameters: Mapping[str, Any]) -> None:
    """Raises WeightsUnavailable for rotary parameters but those of whole heads turned by unchanging frequencies."""
    rope_type = parameters.get("rope_type", "default")
    if rope_type not in _ROPE_TYPES:
        _refuse(config, "rope_type", rope_type, " or ".join(map(repr, _ROPE_TYPES)))
    partial = parameters.get("partial_rotary_factor", 1.0)
    if partial != 1:
        _refuse(config, "partial_rotary_factor", partial, "1.0")


def _refuse(config: Any, name: str, found: Any, accepted: str) -> NoReturn:
    raise errors.WeightsUnavailable(
        f"The checkpoint's decoder ({config.model_type}) has {name} = {found!r}; "
        f"Looksee runs it with {accepted} alone.",
        retry_after=30,
    )
