"""Refusing checkpoints whose decoder has parts that are not written out here."""

from __future__ import annotations

from typing import Any

from looksee.core import errors


def require(config: Any, **accepted: Any) -> None:
    """Raises WeightsUnavailable for a decoder configuration in which one of these has another value.

    A configuration that lacks the name passes: transformers' older releases wrote fewer of them.
    """
    for name, value in accepted.items():
        if getattr(config, name, value) != value:
            raise errors.WeightsUnavailable(
                f"The checkpoint's decoder ({config.model_type}) has {name} = {getattr(config, name)!r}; "
                f"Looksee runs it with {value!r} alone.",
                retry_after=30,
            )
