"""The kept beginnings of prompts: another question about a picture needs no prefill of the picture's tokens.

A prompt begins with what the template puts first and with its pictures, up to their last token. Keys and values of a
beginning depend on nothing behind it, so all prompts that begin alike share them.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from looksee.models.core.batch_cache import BatchCache
from looksee.models.encoding_cache import EncodingCache


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first `length` ids of a prompt, with the pictures in them; `key` is a hash of both."""

    length: int
    key: bytes


def beginning(ids: Sequence[int], image_token_id: int, images: Sequence[bytes]) -> Beginning | None:
    """The beginning of a prompt up to its last image token; None without one. `images` are hashes of the pictures."""
    if not images:
        return None
    length = len(ids) - list(reversed(ids)).index(image_token_id)
    digest = hashlib.blake2b(array("q", ids[:length]).tobytes(), digest_size=16)
    for image in images:
        digest.update(image)
    return Beginning(length, digest.digest())


class BeginningCache(EncodingCache[list[Tensor]]):
    """Beginnings by their keys: (2 * heads, length, head width) for each layer, the keys' heads first."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, lambda layers: sum(layer.nbytes for layer in layers))

    def split(self, beginnings: Sequence[Beginning | None]) -> tuple[list[int], dict[int, list[Tensor] | int]]:
        """Which rows of a batch are prefilled whole, and what the others begin with.

        The latter is a kept beginning, or the number of the row before it that begins alike.
        """
        whole: list[int] = []
        others: dict[int, list[Tensor] | int] = {}
        first: dict[bytes, int] = {}
        for row, own in enumerate(beginnings):
            if own is None:
                whole.append(row)
            elif own.key in first:
                others[row] = first[own.key]
            elif kept := self.get(own.key):
                others[row] = kept
            else:
                first[own.key] = row
                whole.append(row)
        return whole, others

    def keep(self, own: Beginning, cache: BatchCache, row: int) -> None:
        """Keep the beginning of a row that was prefilled."""
        layers = cache.prefix(row, own.length)
        if sum(layer.nbytes for layer in layers) <= self.max_bytes:
            self.put(own.key, [layer.clone() for layer in layers])  # a view would keep the whole storage
