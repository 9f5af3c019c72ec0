"""The dimensions and token ids of a checkpoint. The defaults are the published 2B model's.

A `config.json` has under the key `config` what differs from the defaults, by the published field names; the published
one has nothing there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TextConfig:
    """`prefix_attn` is the number of an image's positions: one for the BOS id and one for each patch."""

    dim: int = 2048
    ff_dim: int = 8192
    n_layers: int = 24
    n_heads: int = 32
    vocab_size: int = 51200
    max_context: int = 2048
    prefix_attn: int = 730

    @property
    def head_width(self) -> int:
        return self.dim // self.n_heads


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """Sizes are in pixels, `overlap_margin` in patches. `max_crops` counts local crops, not the global one."""

    enc_dim: int = 1152
    enc_patch_size: int = 14
    enc_n_layers: int = 27
    enc_ff_dim: int = 4304
    enc_n_heads: int = 16
    proj_out_dim: int = 2048
    crop_size: int = 378
    in_channels: int = 3
    max_crops: int = 12
    overlap_margin: int = 4
    proj_inner_dim: int = 8192

    @property
    def grid(self) -> int:
        """Patches along a crop's side."""
        return self.crop_size // self.enc_patch_size

    @property
    def window(self) -> int:
        """Pixels from one local crop to the next."""
        return (self.grid - 2 * self.overlap_margin) * self.enc_patch_size

    @property
    def margins(self) -> int:
        """Pixels of both margins of a crop."""
        return 2 * self.overlap_margin * self.enc_patch_size


@dataclass(frozen=True, slots=True)
class RegionConfig:
    """A coordinate has `coord_out_dim` bins; a width and a height have half of `size_out_dim` each."""

    dim: int = 2048
    coord_feat_dim: int = 256
    coord_out_dim: int = 1024
    size_feat_dim: int = 512
    size_out_dim: int = 2048
    inner_dim: int = 8192


@dataclass(frozen=True, slots=True)
class Template:
    """The ids before and after a skill's text."""

    prefix: Ids
    suffix: Ids


@dataclass(frozen=True, slots=True)
class Templates:
    """The ids of each skill's prompt; `caption` has a whole prompt for each length."""

    caption: Mapping[str, Ids] = field(
        default_factory=lambda: {
            "short": (1, 32708, 2, 12492, 3),
            "normal": (1, 32708, 2, 6382, 3),
            "long": (1, 32708, 2, 4059, 3),
        }
    )
    query: Template = Template((1, 15381, 2), (3,))
    detect: Template = Template((1, 7235, 476, 2), (3,))
    point: Template = Template((1, 2581, 2), (3,))


@dataclass(frozen=True, slots=True)
class TokenizerConfig:
    """The special ids. `coord_id` and `size_id` are in the place of a coordinate or size, which is no token."""

    bos_id: int = 0
    eos_id: int = 0
    answer_id: int = 3
    thinking_id: int = 4
    coord_id: int = 5
    size_id: int = 6
    start_ground_points_id: int = 7
    end_ground_id: int = 9
    templates: Templates = field(default_factory=Templates)


@dataclass(frozen=True, slots=True)
class Config:
    text: TextConfig = field(default_factory=TextConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    region: RegionConfig = field(default_factory=RegionConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)

    def __post_init__(self) -> None:
        """Raises ValueError where the parts do not fit each other."""
        if self.text.prefix_attn != self.vision.grid**2 + 1:
            raise ValueError("the prefix must have one position for the beginning and one for each patch")
        if not self.text.dim == self.vision.proj_out_dim == self.region.dim:
            raise ValueError("text, projection and region must be equally wide")

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Config:
        """The configuration in `record`: sections of published fields, each optional. Raises ValueError."""
        text = record.get("text", {})
        if text.get("n_kv_heads", text.get("n_heads")) != text.get("n_heads"):
            raise ValueError("there must be as many key and value heads as query heads")
        ids = dict(record.get("tokenizer", {}))
        templates = ids.pop("templates", None)
        tokenizer = _known(TokenizerConfig, ids)
        if templates is not None:
            tokenizer["templates"] = _templates(templates)
        return cls(
            TextConfig(**_known(TextConfig, text)),
            VisionConfig(**_known(VisionConfig, record.get("vision", {}))),
            RegionConfig(**_known(RegionConfig, record.get("region", {}))),
            TokenizerConfig(**tokenizer),
        )

    @classmethod
    def load(cls, directory: Path) -> Config:
        """The configuration of the checkpoint in `directory`."""
        return cls.of(json.loads((directory / "config.json").read_text()).get("config") or {})

    def with_crops(self, max_crops: int) -> Config:
        """A copy with `max_crops` local crops an image at most."""
        return replace(self, vision=replace(self.vision, max_crops=max_crops))


def _known(kind: type[Any], record: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in record.items() if name in names}


def _templates(record: Mapping[str, Any]) -> Templates:
    return Templates(
        {length: tuple(ids) for length, ids in record["caption"].items()},
        *(Template(tuple(record[skill]["prefix"]), tuple(record[skill]["suffix"])) for skill in _SKILLS),
    )


_SKILLS = ("query", "detect", "point")
