"""Tokens that are chosen on the device and that the host has not read yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from looksee.models.interface import Row
from looksee.models.sampling import read_indices

RowT = TypeVar("RowT", bound=Row)


class PendingTokens(Generic[RowT]):
    """What one step chose for its rows. `ids` (rows,) int64 is on the device; -1 is for a row that got no token.

    The copy to the host begins at once, behind the step on the device's stream; `read` alone waits for it.
    """

    def __init__(self, rows: Sequence[RowT], ids: Tensor) -> None:
        self.rows, self.ids = list(rows), ids
        self._host, self._copied = ids, None
        if ids.device.type == "cuda":
            self._host = torch.empty(ids.shape, dtype=ids.dtype, pin_memory=True)  # else the copy would wait
            self._host.copy_(ids, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record(torch.cuda.current_stream(ids.device))

    def read(self) -> list[int | None]:
        """The token id of each row, None for one that got none. Raises what the device has raised since the step."""
        if self._copied is not None:
            self._copied.synchronize()
        return read_indices(self._host)
