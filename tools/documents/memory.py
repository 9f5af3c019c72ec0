"""What a model takes of a device's memory, computed from the registry, the published configurations and the settings.

Nothing here is measured: activations, the device's context and its libraries' workspaces come on top.
"""

from __future__ import annotations

from looksee.core.images import mib
from looksee.models.registry import REGISTRY, ModelSpec
from looksee.models.registry.options import ModelSettings
from tools.documents.tables import table

_BFLOAT16 = 2  # bytes of a number
_TILE_TOKENS = 256  # of a published InternVL3
_KEPT = ("feature_cache_bytes", "prefix_cache_bytes")


def bytes_a_position(spec: ModelSpec) -> int | None:
    """What a position takes in bfloat16; None where it is not known."""
    if spec.kv_shape is None:
        return None
    layers, numbers = spec.kv_shape
    return 2 * layers * numbers * _BFLOAT16


def picture_positions(model: str) -> int | None:
    """Positions of pictures that a running batch may have by default; None where no setting bounds them."""
    own = REGISTRY[model].settings()
    if (tokens := _value(own, "max_batch_image_tokens")) is not None:
        return tokens
    tiles = _value(own, "max_batch_tiles")
    return None if tiles is None else tiles * _TILE_TOKENS


def markdown() -> str:
    rows = []
    for name, spec in REGISTRY.items():
        position, positions = bytes_a_position(spec), picture_positions(name)
        kept = sum(_value(spec.settings(), setting) or 0 for setting in _KEPT)
        rows.append(
            (
                f"`{name}`",
                _gib(2 * spec.parameters),
                _gib(4 * spec.parameters),
                "-" if position is None else f"{position / 2**10:.0f} KiB",
                "-" if positions is None else f"{positions:,}",
                "-" if positions is None or position is None else _gib(positions * position),
                mib(kept) if kept else "-",
            )
        )
    return table(
        (
            "`model`",
            "weights, bfloat16",
            "weights, float32",
            "keys and values a position, bfloat16",
            "picture positions of a full batch",
            "their keys and values",
            "kept for further questions, at most",
        ),
        rows,
    )


def _value(own: ModelSettings, setting: str) -> int | None:
    return getattr(own, setting, None)


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
