"""The skill `collective`: one caption of several pictures together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from looksee.core.images import Picture
from looksee.core.tags import tags
from looksee.core.tasks import Answer, Task
from looksee.gateway.answering import CacheableJob
from looksee.http.inputs import validation
from looksee.http.skills.skill import TextSkill
from looksee.models.registry import prompts
from looksee.settings import Settings

_TOKENS = 300  # new ones where a request does not say


@dataclass(frozen=True, kw_only=True)
class CollectiveSkill(TextSkill):
    """The container API does not have it."""

    task: ClassVar[Task] = Task.COLLECTIVE
    prompt_param: ClassVar[str] = "prompt"
    default_model: ClassVar[str] = "gemma"
    several: ClassVar[bool] = True

    prompt: str = ""

    def check(self, model: str, settings: Settings, *, pictures: int = 1) -> None:
        validation.check_prompt(self.prompt, settings, param="prompt")
        self.check_text(model, settings)

    def job(self, model: str, pictures: Sequence[Picture], settings: Settings) -> CacheableJob:
        words = prompts.collective(model, self.prompt)
        return self.text_job(model, pictures, words, settings, default_tokens=_TOKENS)

    def members(self, answer: Answer, pictures: Sequence[Picture]) -> dict[str, Any]:
        return {
            "collective_caption": answer.text,
            "count": len(pictures),
            "tags": tags(answer.text),
            **self.scored(answer),
        }
