"""BentoML's Containerfile of a bento, completed with what BentoML has no setting for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

HOME: Final = "/tmp/looksee"  # all that is written at run time, so that only /tmp needs to be writable, by any user

_BENTOML_HOME = "ENV BENTOML_HOME="
_USER = "USER bentoml"
_PROMETHEUS = "EXPOSE 3001"
_PULL = (
    'RUN {secret}if [ -f {token} ]; then HF_TOKEN="$(cat {token})"; export HF_TOKEN; fi; '
    "python -m looksee pull {models}"
)
_TOKEN = "/run/secrets/hf_token"
_HEALTH = "HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD python -m looksee ready"
_COMMAND = 'CMD ["serve"]'


def completed(text: str, *, bake: Sequence[str] = (), secret: bool = False, endpoint: str = "") -> str:
    """The Containerfile with a home under /tmp, a health probe, a default command, and the weights of `bake` in it.

    `secret`: the build is given the hub's token as the secret hf_token, which stays out of the image. `endpoint` is
    another hub's address, for the fetching alone. Raises ValueError for a file that is not written as BentoML 1.4
    writes it.
    """
    lines = text.splitlines()
    home = _only(lines, _BENTOML_HOME)
    lines[home] = f"{_BENTOML_HOME}{HOME}"
    del lines[_only(lines, _PROMETHEUS)]  # nothing listens there
    user = _only(lines, _USER)
    if bake:
        mount = "--mount=type=secret,id=hf_token,mode=0444 " if secret else ""
        pull = _PULL.format(secret=mount, token=_TOKEN, models=" ".join(bake))
        if endpoint:
            pull = pull.replace("python -m", f"HF_ENDPOINT={endpoint} python -m")
        lines.insert(user + 1, pull)
    return "\n".join([*lines, _HEALTH, _COMMAND, ""])


def _only(lines: list[str], start: str) -> int:
    found = [number for number, line in enumerate(lines) if line.startswith(start)]
    if len(found) != 1:
        raise ValueError(f"BentoML's Containerfile has {len(found)} lines that begin with '{start}', and not one.")
    return found[0]
