"""Read the settings of this process, once. A bad one ends the program with a line that names it."""

from __future__ import annotations

import functools
import os

from dotenv import load_dotenv
from pydantic import ValidationError
from pydantic_settings import SettingsError

from looksee.models.registry import REGISTRY
from looksee.settings import unknown_names
from looksee.settings.combined import Settings
from looksee.settings.tables import variable


@functools.cache
def settings() -> Settings:
    """The settings from the environment and `.env`. Raises SystemExit with a line for each setting that is wrong."""
    load_dotenv(".env")
    unknown = unknown_names.complaints(os.environ)
    try:
        found = Settings()
        problems = found.misfits()
        if not unknown and not problems:
            return found
    except ValidationError as error:
        problems = _problems(error)
    except SettingsError as error:  # a model's settings given as a whole, and not as JSON
        problems = {"settings": f"{error}"}
        for name in REGISTRY:
            if f'"{name}"' in str(error):
                problems = {variable(name): f"set {variable(name)}_WEIGHTS and the like instead"}
    lines = [f"  {name}: {message}" for name, message in {**problems, **unknown}.items()]
    raise SystemExit("Looksee cannot start; these settings are wrong:\n" + "\n".join(lines))


def _problems(error: ValidationError) -> dict[str, str]:
    """The first complaint about each variable: a union has one for each of its types."""
    problems: dict[str, str] = {}
    for one in error.errors():
        problems.setdefault(variable(*map(str, one["loc"][:2])), one["msg"])
    return problems
