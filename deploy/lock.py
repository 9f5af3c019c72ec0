"""Write requirements.txt: the exact versions of all that the service runs on, as installed in this environment.

    make lock

The environment and the image are made from this file. CUDA's packages are left out: which of them torch wants depends
on the machine, and torch pins them itself.
"""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
_MACHINES_OWN = ("nvidia-", "cuda-", "triton")


def closure(requirements: list[str]) -> dict[str, str]:
    """Versions of the requirements and of all that they require here, by canonical name."""
    found: dict[str, str] = {}
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or name.startswith(_MACHINES_OWN):
            continue
        distribution = metadata.distribution(name)
        found[name] = distribution.version.partition("+")[0]
        for line in distribution.requires or []:
            needed = Requirement(line)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return dict(sorted(found.items()))


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [f"{name}=={version}" for name, version in closure(project["dependencies"]).items()]
    (ROOT / "requirements.txt").write_text("# Written by `make lock`.\n" + "\n".join(lines) + "\n")
    print(f"requirements.txt: {len(lines)} packages")


if __name__ == "__main__":
    main()
