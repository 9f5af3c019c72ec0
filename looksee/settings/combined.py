"""All settings as one class: the subjects', and those of each registered model.

Precedence: command line > environment > `.env` > default. Bare names (PORT, REDIS_HOST, ...) are those of the systems
that this service replaces; the others start with LOOKSEE_.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict

from looksee.models.registry import REGISTRY
from looksee.models.registry.options import ModelSettings
from looksee.settings.access import AccessSettings
from looksee.settings.cache import CacheSettings
from looksee.settings.image_urls import ImageUrlSettings
from looksee.settings.kept_pictures import KeptPictureSettings
from looksee.settings.limits import LimitSettings
from looksee.settings.runners import RunnerSettings
from looksee.settings.serving import ServingSettings, TraceSettings

# In the order of the tables.
SUBJECTS: tuple[type[BaseModel], ...] = (
    ServingSettings,
    AccessSettings,
    CacheSettings,
    RunnerSettings,
    LimitSettings,
    ImageUrlSettings,
    KeptPictureSettings,
    TraceSettings,
)


class GeneralSettings(
    ServingSettings,
    AccessSettings,
    CacheSettings,
    RunnerSettings,
    LimitSettings,
    ImageUrlSettings,
    KeptPictureSettings,
    TraceSettings,
    BaseSettings,
):
    """What is set once for all models, read from the environment."""

    model_config = SettingsConfigDict(
        env_prefix="LOOKSEE_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    def model(self, name: str) -> ModelSettings:
        """The settings of the model `name`."""
        own: ModelSettings = getattr(self, name)
        return own

    def misfits(self) -> dict[str, str]:
        """What is wrong with settings that do not fit together, by variable: models that are to be loaded, or to stay
        so, for which there are not places enough. Those of runners elsewhere take none here.
        """
        most, found = self.model_capacity, dict[str, str]()
        here = [name for name in self.served_models() if not self.model(name).url]
        preloaded = [name for name in self.preloaded_models() if name in here]
        pinned = [name for name in self.pinned_models() if name in here]
        others = [name for name in here if name not in pinned]
        for variable, names in (("LOOKSEE_PRELOAD", preloaded), ("LOOKSEE_PIN", pinned)):
            if most and len(names) > most:
                found[variable] = (
                    f"these are {len(names)} models, and MODEL_CAPACITY lets {most} be loaded at a time; raise it (0: "
                    "no limit) or name fewer"
                )
        if most and len(pinned) == most and others:
            found["LOOKSEE_PIN"] = (
                f"these would take every place of MODEL_CAPACITY ({most}), and {', '.join(others)} could never be "
                "loaded; raise it (0: no limit), pin fewer, or leave the others out of LOOKSEE_MODELS"
            )
        return found


if TYPE_CHECKING:
    Settings = GeneralSettings
else:
    _OF_MODELS: dict[str, Any] = {name: (spec.settings, spec.settings()) for name, spec in REGISTRY.items()}
    Settings = create_model("Settings", __base__=GeneralSettings, **_OF_MODELS)
