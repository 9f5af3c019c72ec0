"""The house keeps its rules: names shadow nothing, rooms import what they may, modules stay readable."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from looksee.models.registry import REGISTRY
from looksee.settings import Settings

ROOT = Path(__file__).parent.parent.parent
_LIST = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]  # also what is not committed yet
TRACKED = subprocess.run(_LIST, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
MODULES = [ROOT / name for name in TRACKED if name.endswith(".py") and (ROOT / name).is_file()]
OURS = {Path(name).parts[0].removesuffix(".py") for name in TRACKED if name.endswith(".py")}


def imports(file: Path) -> set[str]:
    """Top-level names that a module imports at import time or later."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_no_top_level_name_shadows_a_library() -> None:
    installed = {name for name, owners in packages_distributions().items() if set(owners) != {"looksee"}}
    assert not OURS & (installed | set(sys.stdlib_module_names))


# What a room may import of the project. Whatever is not named here may be imported by none.
LAYERS: dict[str, set[str]] = {
    "looksee.core": set(),
    "looksee.models": {"looksee.core"},
    "looksee.settings": {"looksee.core", "looksee.models.registry"},
    "looksee.serving": {
        *("looksee.core", "looksee.settings", "looksee.gateway", "looksee.http", "looksee.models.registry"),
        "looksee.watching",
    },
    "looksee.engine": {"looksee.core", "looksee.models.interface"},
    "looksee.watching": {"looksee.core", "looksee.settings", "looksee.version"},
    "looksee.gateway": {
        *("looksee.core", "looksee.settings", "looksee.version", "looksee.models.registry", "looksee.watching"),
    },
    "looksee.http": {
        *("looksee.core", "looksee.settings", "looksee.gateway", "looksee.version"),
        *("looksee.models.registry", "looksee.models.weights", "looksee.watching"),
    },
    # The rooms of HTTP, from the inside out; modules beside them are named. What the edge has to know of the dialects
    # is handed in by the app.
    "looksee.http.edge": {
        *("looksee.core", "looksee.http.error_responses", "looksee.http.error_sentences"),
        *("looksee.http.page_policy", "looksee.http.request_info", "looksee.watching"),
    },
    "looksee.http.answers": {
        *("looksee.core", "looksee.gateway", "looksee.http.disconnect", "looksee.http.error_responses"),
    },
    "looksee.http.inputs": {
        *("looksee.core", "looksee.settings", "looksee.gateway", "looksee.version", "looksee.models.registry"),
        "looksee.models.weights",
        *("looksee.http.context", "looksee.http.disconnect", "looksee.http.error_params"),
        *("looksee.http.error_responses", "looksee.http.error_sentences"),
    },
    "looksee.http.skills": {
        *("looksee.core", "looksee.settings", "looksee.gateway", "looksee.models.registry"),
        *("looksee.http.answers", "looksee.http.inputs", "looksee.http.error_params"),
        "looksee.http.error_sentences",
    },
    "looksee.http.apis": {
        *("looksee.core", "looksee.settings", "looksee.gateway", "looksee.models.registry", "looksee.models.weights"),
        *("looksee.http.answers", "looksee.http.inputs", "looksee.http.skills"),
        *("looksee.http.context", "looksee.http.error_params", "looksee.http.error_responses"),
    },
    "looksee.http.dialects": {
        *("looksee.core", "looksee.settings", "looksee.gateway", "looksee.version", "looksee.models.registry"),
        *("looksee.models.weights", "looksee.http.answers", "looksee.http.apis", "looksee.http.inputs"),
        *(
            "looksee.http.skills",
            "looksee.http.edge.access.api_keys",
            "looksee.http.context",
            "looksee.http.error_params",
        ),
        *(
            "looksee.http.error_responses",
            "looksee.http.error_sentences",
            "looksee.http.openai_errors",
            "looksee.http.examples",
        ),
        *("looksee.http.disconnect", "looksee.http.page_policy", "looksee.http.request_info"),
    },
    "looksee.cli": {
        *("looksee.core", "looksee.settings", "looksee.version", "looksee.models.registry", "looksee.models.weights"),
    },
    "adapters": set(),  # they run where this project is not installed
    "cache": {"looksee.core"},
    "runners": {
        *("looksee.core", "looksee.settings", "looksee.serving.bentoml_patches", "looksee.engine", "looksee.models"),
        "looksee.watching",
    },
}
FORBIDDEN: dict[str, set[str]] = {
    "looksee.core": {"bentoml", "torch", "transformers", "fastapi", "starlette", "pydantic", "redis"},
    "looksee.models": {"bentoml", "fastapi", "starlette", "redis"},
    "looksee.settings": {"bentoml", "torch", "transformers", "fastapi", "starlette", "redis"},
    "looksee.engine": {"bentoml", "torch", "transformers", "fastapi", "starlette", "redis"},
    "looksee.watching": {"bentoml", "torch", "transformers", "fastapi", "starlette", "redis"},
    "looksee.gateway": {"torch", "transformers", "fastapi", "starlette", "redis"},
    "looksee.http": {"torch", "transformers", "bentoml", "redis"},
    "looksee.cli": {"bentoml", "torch", "transformers", "fastapi", "redis"},
    "cache": {"bentoml", "torch", "transformers", "fastapi", "starlette"},
    "runners": {"transformers", "fastapi", "redis"},
}


def modules(file: Path) -> set[str]:
    """The full names of the modules, and of what is taken from them, that a module imports at import time or later."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("room", LAYERS)
def test_rooms_import_what_they_may(room: str) -> None:
    allowed = LAYERS[room] | {room}
    files = list((ROOT / Path(*room.split("."))).rglob("*.py"))
    assert files
    for file in files:
        ours = {name for name in modules(file) if name.partition(".")[0] in OURS}
        stray = {name for name in ours if not any(f"{name}.".startswith(f"{one}.") for one in allowed)}
        assert not stray, file
        assert not imports(file) & FORBIDDEN.get(room, set()), file


def test_dialects_do_not_import_one_another() -> None:
    room = ROOT / "looksee/http/dialects"
    names = {path.stem for path in room.iterdir() if path.suffix == ".py" or path.is_dir()} - {
        "__init__",
        "__pycache__",
    }
    assert {"openai", "batch"} <= names
    for name in names:
        files = [room / f"{name}.py"] if (room / f"{name}.py").is_file() else list((room / name).rglob("*.py"))
        for file in files:
            others = {found.split(".")[3] for found in modules(file) if found.startswith("looksee.http.dialects.")}
            assert others <= {name}, file


def attributes(file: Path) -> set[tuple[str, str]]:
    """(what it is read of, name) of every attribute that a module reads: `settings.port`, `own.max_tiles`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.add((ast.unparse(node.value).rpartition(".")[2], node.attr))
    return found


def test_every_setting_is_read_by_its_name() -> None:
    of_settings = re.compile(r"_?(settings|config|configured|own|settings\(\)|.*model\(.*\))$")
    defined_in = ("looksee/settings/", "looksee/models/registry/")
    read = set()
    for file in MODULES:
        inside = str(file.relative_to(ROOT)).startswith(defined_in)
        if "tests" not in file.parts:
            read |= {
                name for holder, name in attributes(file) if of_settings.match(holder) or (inside and holder == "self")
            }
    own_of_models = [name for spec in REGISTRY.values() for name in spec.settings.model_fields]
    unread = [name for name in dict.fromkeys([*Settings.model_fields, *own_of_models]) if name not in read]
    assert set(unread) == set(REGISTRY), "a model's settings as a whole are read through `model(name)`"
