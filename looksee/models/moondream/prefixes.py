"""Cached image prefixes: another row about an image needs neither the vision tower nor a pass over the image tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from looksee.models.core.batch_cache import BatchCache
from looksee.models.encoding_cache import EncodingCache
from looksee.models.moondream.crops.encoder import ImageEncoder
from looksee.models.moondream.crops.image import CroppedImage
from looksee.models.moondream.network.network import Network

_BYTES_AT_ONCE = 2**29  # of prefixes computed in one pass; a published one has 137 MiB in bfloat16, 274 in float32


class PrefixCache(EncodingCache[list[Tensor]]):
    """Prefixes by their images' digests: (2 * heads, 1 + patches, head width) for each layer, the keys' heads first."""

    def __init__(self, net: Network, encoder: ImageEncoder, *, max_bytes: int) -> None:
        super().__init__(max_bytes, lambda prefix: sum(layer.nbytes for layer in prefix))
        self._net, self._encoder = net, encoder
        prefix_bytes = net.text.shape.row_bytes(net.config.text.prefix_attn, net.cache_dtype)
        self._prefixes_at_once = max(1, _BYTES_AT_ONCE // prefix_bytes)

    def write(self, images: Sequence[CroppedImage | None], cache: BatchCache) -> None:
        """Write each row's prefix to the beginning of its row of `cache`; `images` has one entry for each row.

        A prefix that is not cached is computed, once for equal images. The images' crops are freed.
        """
        rows_of: dict[bytes, list[int]] = {}
        for row, image in enumerate(images):
            if image:
                rows_of.setdefault(image.digest, []).append(row)
        new: list[CroppedImage] = []
        for digest, rows in rows_of.items():
            prefix = self.get(digest, rows=len(rows))
            if prefix:
                cache.write_prefix(rows, prefix)
            elif image := images[rows[0]]:
                new.append(image)
        if new:
            tokens = self._encoder.image_tokens([image.crops(self._net.config.vision) for image in new])
            for start, part in enumerate(torch.split(tokens, self._prefixes_at_once)):
                layers = self._net.image_prefixes(part)
                for index, image in enumerate(new[start * self._prefixes_at_once :][: len(part)]):
                    prefix = [layer[index].clone() for layer in layers]  # a view would keep all prefixes in memory
                    cache.write_prefix(rows_of[image.digest], prefix)
                    self.put(image.digest, prefix)
        for image in images:
            if image:
                image.drop_crops()
