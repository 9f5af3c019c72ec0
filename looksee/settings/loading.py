"""Read the settings of this process, once. A bad one ends the program with a line that names it."""

from __future__ import annotations

import functools

from dotenv import load_dotenv
from pydantic import ValidationError
from pydantic_settings import SettingsError

from looksee.models.registry import REGISTRY
from looksee.settings.combined import Settings
from looksee.settings.tables import variable


@functools.cache
def settings() -> Settings:
    """The settings from the environment and `.env`. Raises SystemExit with a line for each setting that is wrong."""
    load_dotenv(".env")
    try:
        return Settings()
    except ValidationError as error:
        found: dict[str, str] = {}  # the first complaint about each: a union has one for each of its types
        for one in error.errors():
            found.setdefault(variable(*map(str, one["loc"][:2])), one["msg"])
    except SettingsError as error:  # a model's settings given as a whole, and not as JSON
        found = {"settings": f"{error}"}
        for name in REGISTRY:
            if f'"{name}"' in str(error):
                found = {variable(name): f"set {variable(name)}_WEIGHTS and the like instead"}
    lines = [f"  {name}: {message}" for name, message in found.items()]
    raise SystemExit("Looksee cannot start; these settings are wrong:\n" + "\n".join(lines))
