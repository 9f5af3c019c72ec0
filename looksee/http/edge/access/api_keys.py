"""API keys of clients and operators: the headers that carry one, and the comparison in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers

_PLAIN = ("X-API-Key", "X-Moondream-Auth", "Token")  # the last is X-AnyLabeling's
_BEARER = "bearer "


def presented(headers: Headers) -> list[bytes]:
    """Every key that a request carries, in whichever header. An empty header carries none."""
    found = [value for name in _PLAIN for value in headers.getlist(name)]
    authorized = headers.getlist("Authorization")
    found += [value[len(_BEARER) :] for value in authorized if value[: len(_BEARER)].lower() == _BEARER]
    return [key.strip().encode("latin-1") for key in found if key.strip()]  # as the bytes that came


class ApiKeys:
    """A set of keys, each of which is accepted. Falsy when empty."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys if key]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def holder(self, given: Sequence[bytes]) -> str | None:
        """The accepted key among those given, by a name that does not tell it; None when none is accepted.

        Takes the same time whichever key matches, and however long a wrong one agrees with a right one.
        """
        digests = [_digest(key) for key in given]
        right = [known for known in self._digests for digest in digests if hmac.compare_digest(known, digest)]
        return right[0].hex()[:16] if right else None


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
