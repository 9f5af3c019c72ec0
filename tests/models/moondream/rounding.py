"""How far two computations of the same numbers may be apart: the one rule of every tolerance in these tests.

The golden vectors come from one processor. Another one sums the same products in other blocks and another order (AVX2,
AVX-512 and AMX each have their own), and its `pow`, `cos` and `exp` differ in the last bit. So no two processors agree
on a fixed number of digits, and a fixed absolute tolerance is a statement about one machine. What holds on all of them
follows from the dtype:

- An operation is off by about one unit roundoff u (2^-24 in float32, 2^-8 in bfloat16) in parts of its result, and the
  errors of operations behind each other are independent: n of them make about sqrt(n) u. A whole sum counts as one
  operation, as its parts are smaller than it is.
- A rotation or a wave by an angle of a radians is off by up to a u radians: in the angle no digit behind the point is
  more exact than that. At a picture's last position, 730, this is more than all the rest.
- Vectors are compared, not numbers: a number near zero among large ones has the errors of the large ones.

`MARGIN` lies between what other instruction sets do to the golden vectors and what a wrong formula does. In float32 the
former is up to a fifth of the tolerance, or a third where a rotation's frequencies differ in the last bit. An exact
GELU, the least visible fault, is at least twice the tolerance, and in some test 40 times as much. A norm's eps is less
visible than that where activations are large: `test_layers.py` looks where they are not.

In bfloat16 noise and faults are of one size, and float32 finds the faults. There the golden vectors are themselves off
the truth, which is their float32 twin, and the rule is that we are not much farther from it: `NO_WORSE`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from looksee.models.moondream.config import Config

MARGIN = 32
NO_WORSE = 2.0  # other instruction sets: up to 1.3

_UNIT = torch.finfo(torch.float32).eps / 2
_VISION_BLOCK = 8  # operations behind each other: two norms, four linears, attention and GELU
_TEXT_BLOCK = 5  # a norm, the projection, rotation, attention and its linear; the MLP is beside them


def encoded(config: Config) -> int:
    """Operations behind each other from a crop's pixels to its features."""
    return 2 + _VISION_BLOCK * config.vision.enc_n_layers


def projected(config: Config) -> int:
    """The same to image tokens: the average of overlaps and the projection."""
    return encoded(config) + 4


def read(config: Config) -> int:
    """The same to a position's state or logits."""
    return projected(config) + 2 + _TEXT_BLOCK * config.text.n_layers


def error(found: Tensor, wanted: Tensor) -> float:
    """How far the worst vector (along the last dimension) is off, in parts of the usual length of one."""
    assert found.shape == wanted.shape
    vectors = wanted.double().reshape(-1, wanted.shape[-1])
    off = found.double().reshape(vectors.shape) - vectors
    return float(off.norm(dim=1).max() / vectors.norm(dim=1).square().mean().sqrt())


def tolerance(operations: int, *, angle: float = 0) -> float:
    """What `error` may be in float32 behind so many operations, one of them by an angle of up to `angle` radians."""
    return _UNIT * (MARGIN * math.sqrt(operations) + angle)


def near(found: Tensor, wanted: Tensor, operations: int, *, angle: float = 0) -> bool:
    """Whether float32 `found` is `wanted` but for rounding."""
    return error(found, wanted) <= tolerance(operations, angle=angle)


def no_farther(found: Tensor, golden: Tensor, truth: Tensor) -> bool:
    """Whether `found`, computed in fewer bits, is about as near to float32 `truth` as the `golden` one of those bits.

    All numbers together: which single vector is lucky differs from one processor to the next.
    """
    assert found.shape == golden.shape == truth.shape
    ours, theirs = ((one.double() - truth.double()).norm() for one in (found, golden))
    return bool(ours <= NO_WORSE * theirs)
