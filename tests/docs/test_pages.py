"""The documents equal the code: tables are printed from it, and what they name exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from looksee.core import errors
from looksee.models.registry import REGISTRY
from looksee.settings import Settings, unknown_names
from looksee.settings import tables as setting_tables
from tests.docs import markdown
from tools.documents import pages

ROOT = pages.ROOT
PAGES = pages.all_pages()
_VARIABLE = re.compile(r"\b(?:LOOKSEE|REDIS)_[A-Z0-9_<>]*[A-Z0-9>]")
_CODE = re.compile(r"\b[1-5]\d\d `(?P<code>[a-z_]+)`")
_OF_OTHERS = unknown_names.OF_OTHERS  # read by the command line and by the compose files
# Of libraries, in lines of a `.env`.
_FOREIGN = {"HF_TOKEN", "HF_HOME", "HF_HUB_OFFLINE", "SSL_CERT_FILE", "FORWARDED_ALLOW_IPS", "BENTOML_HOME"}

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def variables() -> set[str]:
    """Every setting's variable, those of a model both as LOOKSEE_<MODEL>_X and with its name."""
    found = {variable for variable, _, _ in setting_tables.rows()}
    return found | {one.replace("<MODEL>", model.upper()) for one in found for model in REGISTRY}


@by_page
def test_tables_are_printed_from_the_code(page: Path) -> None:
    assert pages.renewed(page.read_text()) == page.read_text(), "run `make docs`"


def test_every_table_is_on_a_page() -> None:
    assert sorted(name for page in PAGES for name in pages.marked(page.read_text())) == sorted(pages.TABLES)


def test_the_example_file_is_printed_from_the_code() -> None:
    assert (ROOT / ".env.example").read_text() == setting_tables.dotenv(), "run `make docs`"


def test_what_model_stands_for_is_said() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    assert all(f"`{model.upper()}`" in text for model in REGISTRY)


@by_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in markdown.links(page):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), target
        assert not anchor or anchor in markdown.anchors(file), target


def test_every_page_is_reached_from_the_readme() -> None:
    seen, waiting = set(), [PAGES[0]]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in markdown.links(page)}
        waiting += [one for one in PAGES if one in targets - seen]
    assert seen == set(PAGES)


@by_page
def test_variables_and_codes_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    assert set(_VARIABLE.findall(text)) <= variables() | _OF_OTHERS
    assert {match["code"] for match in _CODE.finditer(text)} <= set(errors.BY_CODE)


@by_page
def test_lines_for_a_dotenv_are_settings(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in markdown.blocks(page):
        if block.language != "dotenv":
            continue
        with monkeypatch.context() as patch:
            for line in block.text.splitlines():
                if not line.startswith("#"):
                    name, _, value = line.partition("=")
                    assert name in variables() | _FOREIGN
                    patch.setenv(name, value.strip("'"))
            Settings()


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(PAGES[0].read_text().splitlines()) <= 230


@by_page
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= targets


def test_the_python_that_is_needed_is_the_projects() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert needed == ">=3.11,<3.12"
    assert "Python 3.11" in PAGES[0].read_text()


def test_the_shapes_of_caches_are_the_published_ones() -> None:
    from looksee.models.moondream.config import TextConfig
    from tests.models import published

    for model, spec in REGISTRY.items():
        if model == "moondream":
            layers, width = TextConfig().n_layers, TextConfig().dim
        else:
            numbers = published.sizes(published.config(model))
            layers, width = numbers["layers"], numbers.get("kv", numbers["text"])
        assert spec.kv_shape == (layers, width), model
