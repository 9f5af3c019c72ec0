"""One pass of a batch through a decoder: where its layers' keys and values go, and what their queries attend to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional

from looksee.models.core import masks
from looksee.models.core.rotary import Rotation

Window = int | None  # how many positions a layer attends to, its own included; None for all


class Slots(Protocol):
    """Where rows keep keys and values: see `RowSpan`."""

    def layer(self, index: int) -> Tensor: ...

    def cross(self, index: int) -> Tensor: ...


class Pass(ABC):
    """A pass of tokens at `positions` (rows, fed) int64. `rotations` are the decoder's own, made once for all layers.

    Queries are (rows, heads, fed, head width). Keys and values come as one tensor (rows, fed, 2 * key heads,
    head width), the keys' heads first; a key head may serve several query heads. `cross` gives a layer's keys and
    values for cross-attention, (rows, 2 * heads, cross length, head width).
    """

    def __init__(self, positions: Tensor, cross: Callable[[int], Tensor]) -> None:
        self.positions = positions
        self.rotations: tuple[Rotation, ...] = ()
        self._cross = cross

    @abstractmethod
    def write(self, layer: int, keys_values: Tensor) -> None:
        """Keep the keys and values of one layer."""

    @abstractmethod
    def attend(self, layer: int, queries: Tensor, keys_values: Tensor, scale: float, window: Window = None) -> Tensor:
        """Keep keys and values, and attend to those before and to themselves: (rows, fed, heads * head width)."""

    def attend_cross(self, layer: int, queries: Tensor, scale: float) -> Tensor:
        """Attend to all of the row's encoder positions: (rows, fed, heads * head width)."""
        return attention(queries, self._cross(layer), None, scale)


class Prefill(Pass):
    """Prompts from their first position on, right-padded. They attend to what the pass has just computed.

    `mask` gives a layer's additive mask (rows, 1, fed, fed) by its window; without it attention is causal.
    """

    def __init__(self, slots: Slots, length: int, mask: Callable[[Window], Tensor] | None = None) -> None:
        """`length` is that of the longest row; the padding's keys and values go to slots behind a row's end."""
        own = slots.layer(0)
        super().__init__(torch.arange(length, device=own.device).expand(len(own), -1), slots.cross)
        self._slots, self._length, self._mask = slots, length, mask

    def write(self, layer: int, keys_values: Tensor) -> None:
        self._slots.layer(layer)[:, :, : self._length] = keys_values.transpose(1, 2)

    def attend(self, layer: int, queries: Tensor, keys_values: Tensor, scale: float, window: Window = None) -> Tensor:
        self.write(layer, keys_values)
        mask = None if self._mask is None else self._mask(window)
        return attention(queries, keys_values.transpose(1, 2), mask, scale, causal=mask is None)


class Prefix(Pass):
    """A beginning whose positions all attend to each other. What it computes is kept in `layers`, not in a batch.

    `layers` gets (rows, 2 * heads, fed, head width) for each layer.
    """

    def __init__(self, rows: int, length: int, device: torch.device) -> None:
        super().__init__(torch.arange(length, device=device).expand(rows, -1), no_cross)
        self.layers: list[Tensor] = []

    def write(self, layer: int, keys_values: Tensor) -> None:
        self.layers.append(keys_values.transpose(1, 2))

    def attend(self, layer: int, queries: Tensor, keys_values: Tensor, scale: float, window: Window = None) -> Tensor:
        self.write(layer, keys_values)
        return attention(queries, self.layers[layer], None, scale)


class Extension(Pass):
    """Further tokens behind what rows have, each at its own position: steps, and prompts behind a kept prefix.

    The first `length` slots of a row are attended to, as far as a position allows. `aligned`: that is known to be all
    of them, as in a single row's step.
    """

    def __init__(self, slots: Slots, positions: Tensor, length: int, *, aligned: bool = False) -> None:
        super().__init__(positions, slots.cross)
        self._slots, self._length, self._aligned = slots, length, aligned
        self._rows = torch.arange(len(positions), device=positions.device)[:, None]
        self._masks: dict[Window, Tensor] = {}

    @classmethod
    def behind(cls, slots: Slots, starts: Sequence[int], lengths: Sequence[int]) -> Self:
        """A pass of `lengths` tokens in each row, the first of them at its own position of `starts`.

        The padding of a row that is shorter than the longest goes to the slot behind the row's end, where the row's
        next token will overwrite it.
        """
        ends = torch.tensor(lengths)[:, None]
        positions = torch.tensor(starts)[:, None] + torch.arange(max(lengths))[None].minimum(ends)
        return cls(slots, positions.to(slots.layer(0).device), int(positions.max()) + 1)

    def write(self, layer: int, keys_values: Tensor) -> None:
        self._slots.layer(layer)[self._rows, :, self.positions] = keys_values

    def attend(self, layer: int, queries: Tensor, keys_values: Tensor, scale: float, window: Window = None) -> Tensor:
        self.write(layer, keys_values)
        return attention(queries, self._slots.layer(layer)[:, :, : self._length], self._additive(window), scale)

    def _additive(self, window: Window) -> Tensor | None:
        if self._aligned and (window is None or self._length <= window):
            return None
        if window not in self._masks:
            self._masks[window] = masks.additive(
                masks.causal(self.positions, self._length, window), self._slots.layer(0).dtype
            )
        return self._masks[window]


def no_cross(layer: int) -> Tensor:
    """The encoder positions of a pass that has none."""
    raise LookupError(f"layer {layer} has no encoder positions")


def attention(
    queries: Tensor, keys_values: Tensor, mask: Tensor | None, scale: float, *, causal: bool = False
) -> Tensor:
    """(rows, queries, heads * head width) of queries (rows, heads, queries, head width).

    `keys_values` is (rows, 2 * key heads, keys, head width); `mask` is added, (rows, 1, queries, keys).
    """
    keys, values = keys_values.chunk(2, dim=1)
    rows, heads, fed, width = queries.shape
    shared = heads // keys.shape[1]
    if shared > 1 and fed == 1:  # the heads of one key head as queries of it: the keys need not be repeated
        queries = queries.reshape(rows, keys.shape[1], shared, width)
    attended = functional.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, is_causal=causal, scale=scale, enable_gqa=shared > 1 and fed > 1
    )
    if shared > 1 and fed == 1:
        return attended.reshape(rows, 1, heads * width)
    return attended.transpose(1, 2).reshape(rows, fed, heads * width)
