"""What a program is asked about, and how it tells what it was answered. On the path of every program in Python."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

URL = os.environ["LOOKSEE_URL"]
_TOLD = json.loads(Path(os.environ["COMPAT_SCENES"]).read_text())
QUESTION: str = _TOLD["question"]
SCENES: list[dict[str, Any]] = _TOLD["scenes"]  # picture (a path), base64, uri; right are count, number and caption


def tell(asked: str, ask: Callable[[], Any], right: Any) -> None:
    """Ask, and print the answer beside the right one, or the error."""
    answer = error = None
    try:
        answer = str(ask())
    except Exception as trouble:  # whatever a package raises
        error = f"{type(trouble).__name__}: {trouble}"
    print(json.dumps({"asked": asked, "answer": answer, "error": error, "right": str(right)}), flush=True)
