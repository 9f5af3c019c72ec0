"""`make audit`: known flaws of the locked packages, as pip-audit finds them; says which it could not look up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.txt"
_UV = Path(sys.executable).with_name("uv")
# In an environment of its own: it is no part of what is served. With hashes nothing is resolved or installed.
_AUDIT = ("tool", "run", "--quiet", "pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off")


def report() -> Mapping[str, Any] | str:
    """What pip-audit finds; a sentence where it cannot run."""
    command = [str(_UV), *_AUDIT, "--format", "json", "--requirement", str(LOCK)]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        content: Mapping[str, Any] = json.loads(found.stdout)
    except OSError as error:
        return f"uv cannot be run here: {error.strerror}"
    except ValueError:
        last = found.stderr.strip().rpartition("\n")[2]
        return f"pip-audit cannot be run here: {last or 'it says nothing'}"
    return content


def verdict(found: Mapping[str, Any] | str) -> tuple[bool, list[str]]:
    """Whether every package was looked up and none has a known flaw, and the lines that say so."""
    if isinstance(found, str):
        return False, [f"looksee: nothing was audited: {found}"]
    packages = found["dependencies"]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    lines = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for one in packages
        for flaw in one.get("vulns", ())
    ]
    flaws = len(lines)
    lines.append(f"looksee: {flaws} known flaws in {len(packages) - len(skipped)} of {len(packages)} locked packages")
    if skipped:
        shown = ", ".join(skipped[:5]) + (" and others" if len(skipped) > 5 else "")
        lines.append(f"looksee: {len(skipped)} could not be looked up from here, so nothing is known of them: {shown}")
    return not flaws and not skipped and bool(packages), lines


def main() -> None:
    fine, lines = verdict(report())
    print("\n".join(lines))
    raise SystemExit(not fine)


if __name__ == "__main__":
    main()
