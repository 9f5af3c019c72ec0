"""The settings as tables: for the documentation and for `.env.example`."""

from __future__ import annotations

from looksee.models.registry import REGISTRY
from looksee.models.registry.options import ModelSettings
from looksee.settings.combined import SUBJECTS, Settings


def rows() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting: the general ones by subject, those that all models have (once, as
    <MODEL>), and each model's own.
    """
    shared = ModelSettings.model_fields
    fields = [(variable(name), field) for subject in SUBJECTS for name, field in subject.model_fields.items()]
    fields += [(f"LOOKSEE_<MODEL>_{name}".upper(), field) for name, field in shared.items()]
    for model, spec in REGISTRY.items():
        own = [(name, field) for name, field in spec.settings.model_fields.items() if name not in shared]
        fields += [(f"LOOKSEE_{model}_{name}".upper(), field) for name, field in own]
    return [(name, _shown(field.default), field.description or "") for name, field in fields]


def variable(name: str, *inner: str) -> str:
    """The environment's name of a field, or of a field in a nested one."""
    field = Settings.model_fields.get(name)
    bare = field.validation_alias if field else name  # a bare name is reported as itself
    return str(bare or "_".join(("LOOKSEE", name, *inner)).upper())


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def markdown() -> str:
    """The table of all settings in Markdown."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |" for name, default, meaning in rows()]
    return "\n".join(lines)


def dotenv() -> str:
    """The text of `.env.example`: every setting, commented out, with its default."""
    blocks = [f"# {meaning}\n#{name.replace('<MODEL>', 'BLIP')}={default}" for name, default, meaning in rows()]
    return "# Copy to .env and change what you need. Every line shows the default.\n\n" + "\n\n".join(blocks) + "\n"
