"""Print the tables of README.md and the lines of .env.example from the code.

make docs
"""

from __future__ import annotations

from pathlib import Path

from looksee.core import errors
from looksee.models.registry import REGISTRY
from looksee.settings import tables

ROOT = Path(__file__).parent.parent


def models_table() -> str:
    lines = [
        "| name | model | hub id | licence | gated | parameters | bf16 | download | tasks |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for entry in REGISTRY.values():
        hub = f"[`{entry.hub_id}`](https://huggingface.co/{entry.hub_id}/tree/{entry.revision})"
        gated = "yes" if entry.gated else "no"
        sizes = f"{entry.size} | {entry.bf16_bytes / 1e9:.1f} GB | {entry.hub_bytes / 1e9:.1f} GB"
        tasks = ", ".join(sorted(entry.tasks))
        lines.append(f"| `{entry.name}` | {entry.title} | {hub} | {entry.licence} | {gated} | {sizes} | {tasks} |")
    return "\n".join(lines)


def errors_table() -> str:
    lines = ["| status | codes |", "|---|---|"]
    by_status: dict[int, list[str]] = {}
    for cls in errors.BY_CODE.values():
        by_status.setdefault(cls.status, []).append(f"`{cls.code}`")
    lines += [f"| {status} | {', '.join(codes)} |" for status, codes in sorted(by_status.items()) if status != 499]
    return "\n".join(lines)


def readme(text: str) -> str:
    """The README with its tables renewed: what stands between `<!-- name -->` and `<!-- /name -->`."""
    printed = {"settings": tables.markdown(), "models": models_table(), "errors": errors_table()}
    for name, table in printed.items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition(f"<!-- /{name} -->")
        text = f"{before}<!-- {name} -->\n{table}\n<!-- /{name} -->{after}"
    return text


def main() -> None:
    file = ROOT / "README.md"
    file.write_text(readme(file.read_text()))
    (ROOT / ".env.example").write_text(tables.dotenv())
    print("README.md and .env.example are up to date")


if __name__ == "__main__":
    main()
