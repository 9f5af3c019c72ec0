"""Where the facts about settings come from: the one place that imports them."""

from looksee.settings.general import MODELS, ModelSettings, Settings, dotenv, markdown, rows

__all__ = ["MODELS", "ModelSettings", "Settings", "dotenv", "markdown", "rows"]
