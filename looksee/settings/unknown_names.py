"""Variables that begin with LOOKSEE_ and are no settings: the start is refused, with the nearest name that there is.

A misspelt setting that is ignored does harm: with LOOKSEE_CLIENT_KEY, singular, a service is open whose operator
believes it closed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from looksee.models.registry import REGISTRY
from looksee.settings.combined import SUBJECTS, Settings

_PREFIX = "LOOKSEE_"
# No settings of the service: the `looksee` command's own, and those of the compose files, which read the same `.env`.
OF_OTHERS = frozenset(
    {"LOOKSEE_URL", "LOOKSEE_KEY", "LOOKSEE_IMAGE", "LOOKSEE_PORT_OF_CAPTIONS", "LOOKSEE_PORT_OF_MOONDREAM"}
)
# Kubernetes sets these in every container beside a service whose name begins with `looksee`, as Docker did for links.
_OF_CLUSTERS = re.compile(
    r"LOOKSEE_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+")  # what a cluster's LOOKSEE_PORT is
# Names that settings once had, by what they are called now.
RENAMED: Mapping[str, str] = {}


def complaints(environment: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with each unknown name, by the name in capitals."""
    known = set(_known())
    found: dict[str, str] = {}
    for name, value in environment.items():
        written = name.upper()  # settings are read in any case
        if written.startswith(_PREFIX) and written not in known | OF_OTHERS and not _of_a_cluster(written, value):
            found[written] = _complaint(written, known)
    return found


def _known() -> Iterator[str]:
    """Every variable that is read: those of subjects, those of models, and a model's name alone, which takes JSON."""
    for subject in SUBJECTS:
        for name in subject.model_fields:
            bare = Settings.model_fields[name].validation_alias
            yield str(bare or f"{_PREFIX}{name}").upper()
    for model, spec in REGISTRY.items():
        yield f"{_PREFIX}{model}".upper()
        yield from (f"{_PREFIX}{model}_{name}".upper() for name in spec.settings.model_fields)


def _of_a_cluster(name: str, value: str) -> bool:
    linked = name.endswith("_PORT") and _ADDRESS.fullmatch(value) is not None
    return linked or _OF_CLUSTERS.fullmatch(name) is not None


def _complaint(name: str, known: set[str]) -> str:
    if name in RENAMED:
        return f"this setting is called {RENAMED[name]} now"
    bare = name.removeprefix(_PREFIX)
    if bare in known:
        return f"there is no such setting; it is called {bare}"
    # Without what all begin with: it would make them alike.
    near = difflib.get_close_matches(bare, sorted(one.removeprefix(_PREFIX) for one in known if _PREFIX in one), n=1)
    return "there is no such setting" + (f"; did you mean {_PREFIX}{near[0]}?" if near else "")
