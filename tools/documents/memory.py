"""What a model takes of a device's memory, computed from the registry, the published configurations and the settings.

Nothing here is measured: activations, the device's context and its libraries' workspaces come on top.
"""

from __future__ import annotations

from dataclasses import dataclass

from looksee.core.images import mib
from looksee.models.registry import REGISTRY
from tools.documents.sources import MODELS, ModelSettings
from tools.documents.tables import table

_BFLOAT16 = 2  # bytes of a number
_TILE_TOKENS = 256  # of a published InternVL3
_KEPT = ("feature_cache_bytes", "prefix_cache_bytes")


@dataclass(frozen=True, slots=True)
class KvShape:
    """What a decoder keeps of a position: keys and values of `width` numbers (heads x head size) in each layer.

    For BLIP the positions are those of the picture, in the cross-attention.
    """

    layers: int
    width: int

    @property
    def bytes_a_position(self) -> int:
        """In bfloat16."""
        return 2 * self.layers * self.width * _BFLOAT16


# From the published configurations; a test compares them.
KV: dict[str, KvShape] = {
    "blip": KvShape(12, 768),
    "blip2": KvShape(32, 2560),
    "gemma": KvShape(34, 4 * 256),
    "intern_vlm": KvShape(24, 2 * 64),
    "moondream": KvShape(24, 2048),
}


def picture_positions(model: str) -> int | None:
    """Positions of pictures that a running batch may have by default; None where no setting bounds them."""
    own = MODELS[model]()
    if (tokens := _value(own, "max_batch_image_tokens")) is not None:
        return tokens
    tiles = _value(own, "max_batch_tiles")
    return None if tiles is None else tiles * _TILE_TOKENS


def markdown() -> str:
    rows = []
    for name, spec in REGISTRY.items():
        shape, positions = KV[name], picture_positions(name)
        kept = sum(_value(MODELS[name](), setting) or 0 for setting in _KEPT)
        rows.append(
            (
                f"`{name}`",
                _gib(2 * spec.parameters),
                _gib(4 * spec.parameters),
                f"{shape.bytes_a_position / 2**10:.0f} KiB",
                "-" if positions is None else f"{positions:,}",
                "-" if positions is None else _gib(positions * shape.bytes_a_position),
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
