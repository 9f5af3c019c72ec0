"""The smaller tables: models, errors, metrics, and the settings that a first reader needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import REGISTRY as METRICS

# These make the metrics when they are imported.
import looksee.engine.metrics
import looksee.gateway.answering
import looksee.watching.processes
import looksee.watching.requests
import looksee.watching.weights
from looksee.core import errors
from looksee.core.image_formats import FORMATS
from looksee.models.registry import REGISTRY
from looksee.settings import tables as setting_tables
from tools.documents.meanings import MEANINGS

# The settings that the README shows, in this order.
FEW = (
    *("PORT", "LOOKSEE_WEIGHTS", "LOOKSEE_DEVICE", "MODEL_CAPACITY", "REDIS_URL"),
    *("API_KEY", "LOOKSEE_CLIENT_KEYS", "LOOKSEE_REQUESTS_PER_MINUTE"),
    *("LOOKSEE_REQUEST_TIMEOUT_SECONDS", "MAX_CONTENT_LENGTH"),
)
# Made at the first call to Redis, so the registry does not have it here.
_LATE_METRICS = [("looksee_redis_up", "gauge", "Whether each gateway's last call to Redis worked")]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [_line(head), "|---" * len(head) + "|", *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def choice() -> str:
    """A line a model: what somebody needs to choose one."""
    return table(
        ("`model`", "what it is", "tasks", "parameters", "weights in bfloat16", "licence", "gated"),
        (
            (
                f"`{spec.name}`",
                spec.title,
                ", ".join(sorted(spec.tasks)),
                spec.size,
                _gigabytes(spec.bf16_bytes),
                spec.licence,
                "yes" if spec.gated else "no",
            )
            for spec in REGISTRY.values()
        ),
    )


def formats() -> str:
    """A line a format of pictures."""
    return table(
        ("name", "format", "media type", "usual names"),
        (
            (f"`{one.name}`", one.title, f"`{one.media_type}`", ", ".join(f"`{suffix}`" for suffix in one.suffixes))
            for one in FORMATS.values()
        ),
    )


def models() -> str:
    """A line a model: where its weights come from."""
    return table(
        ("`model`", "hub id and pinned commit", "licence", "gated", "parameters", "bfloat16", "download", "tasks"),
        (
            (
                f"`{spec.name}`",
                f"[`{spec.hub_id}`](https://huggingface.co/{spec.hub_id}/tree/{spec.revision}) `{spec.revision[:12]}`",
                spec.licence,
                "yes" if spec.gated else "no",
                spec.size,
                _gigabytes(spec.bf16_bytes),
                _gigabytes(spec.hub_bytes),
                ", ".join(sorted(spec.tasks)),
            )
            for spec in REGISTRY.values()
        ),
    )


def errors_by_code() -> str:
    """A line a code. Raises KeyError for one without a meaning."""
    known = sorted(errors.BY_CODE.values(), key=lambda cls: cls.status)
    rows = ((str(cls.status), f"`{cls.code}`", *MEANINGS[cls.code]) for cls in known if cls is not errors.Cancelled)
    return table(("status", "code", "what happened", "what to do"), rows)


def few_settings() -> str:
    """The README's ten settings."""
    found = {variable: (default, meaning) for variable, default, meaning in setting_tables.rows()}
    rows = ((f"`{name}`", f"`{found[name][0]}`" if found[name][0] else "", found[name][1]) for name in FEW)
    return table(("variable", "default", "meaning"), rows)


def metrics() -> str:
    """A line a metric of this service's own."""
    assert looksee.engine.metrics
    assert looksee.gateway.answering
    assert looksee.watching.processes
    found = [(one.name, one.type, one.documentation) for one in METRICS.collect() if one.name.startswith("looksee_")]
    names = {f"{name}_total" if kind == "counter" else name: (kind, words) for name, kind, words in found}
    names |= {name: (kind, words) for name, kind, words in _LATE_METRICS}
    return table(
        ("metric", "kind", "meaning"), ((f"`{name}`", kind, words) for name, (kind, words) in sorted(names.items()))
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
