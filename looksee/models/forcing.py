"""The mask of a step: rows that are forced into a form lose the tokens that their grammars do not take next."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from looksee.core import errors
from looksee.models.interface import Row


def force(logits: Tensor, rows: Sequence[Row]) -> None:
    """Change `logits` (rows, vocabulary) float32 in place: minus infinity for what may not be next in its row.

    A row whose grammar takes too much gets its `error`, and its logits stay. What is not finite stays so.
    """
    indices, masks = list[int](), list[bytes]()
    for index, row in enumerate(rows):
        if row.matcher is None or row.forced is None:
            continue
        allowed = row.matcher.allowed(row.forced)
        if allowed is None:
            row.error = errors.StructuredOutputFailed(
                "The form of the answer takes too much to follow; use a simpler one.", param=row.matcher.param
            )
        else:
            indices.append(index)
            masks.append(allowed)
    if not indices:
        return
    packed = torch.frombuffer(bytearray(b"".join(masks)), dtype=torch.uint8).to(logits.device)
    # By addition, so that what is not finite is still told from what is forbidden.
    addends = _addends(logits.device).index_select(0, packed.int()).view(len(masks), -1)[:, : logits.shape[-1]]
    if len(indices) == len(rows):
        logits += addends
    else:
        logits.index_add_(0, torch.tensor(indices, device=logits.device), addends)


@functools.cache
def _addends(device: torch.device) -> Tensor:
    """For each byte of a mask what is added to the logits of its eight ids: (256, 8) float32, 0 or minus infinity."""
    taken = (torch.arange(256)[:, None] >> torch.arange(8)) & 1
    return torch.zeros(256, 8).masked_fill_(taken == 0, -torch.inf).to(device)
