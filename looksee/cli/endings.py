"""What to tell a person of an answer that went wrong, by its `finish_reason`."""

from __future__ import annotations

NOTES = {
    "empty": "the model wrote nothing",
    "loop": "the model repeated itself; its answer was cut",
}
