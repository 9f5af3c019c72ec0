"""The pages, and the tables between their markers: `<!-- name -->`, a table, `<!-- /name -->`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from bench.report import documents as benchmarks
from looksee.settings import tables as setting_tables
from tools.compat import table as compatibility
from tools.documents import client_parameters, edges, memory, tables
from tools.reliability import tables as reliability
from tools.soak import tables as soak

ROOT = Path(__file__).parents[2]
_MARKED = re.compile(r"<!-- (?P<name>[a-z-]+) -->\n(?P<table>.*?)<!-- /(?P=name) -->", re.DOTALL)

TABLES: dict[str, Callable[[], str]] = {
    **benchmarks.TABLES,
    "choice": tables.choice,
    "compatibility": compatibility.markdown,
    "edges": edges.markdown,
    "errors": tables.errors_by_code,
    "faults": reliability.faults,
    "formats": tables.formats,
    "few-settings": tables.few_settings,
    "memory": memory.markdown,
    "metrics": tables.metrics,
    "models": tables.models,
    "ollama-parameters": client_parameters.ollama_table,
    "openai-parameters": client_parameters.openai_table,
    "protections": reliability.protections,
    "settings": setting_tables.markdown,
    "soak": soak.tables,
}


def all_pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def marked(text: str) -> list[str]:
    """The names of the tables that a page has."""
    return [found["name"] for found in _MARKED.finditer(text)]


def renewed(text: str) -> str:
    """The page with its tables printed anew. Raises KeyError for a marker that no table has the name of."""

    def printed(found: re.Match[str]) -> str:
        name = found["name"]
        return f"<!-- {name} -->\n{TABLES[name]()}\n<!-- /{name} -->"

    return _MARKED.sub(printed, text)
