"""Every setting of the service, a module for each subject, and the tables printed from them."""

from looksee.settings.combined import Settings
from looksee.settings.loading import settings

__all__ = ["Settings", "settings"]
