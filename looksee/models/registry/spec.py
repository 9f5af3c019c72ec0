"""What the service knows of a model: one record, from which everything else about it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from looksee.core.tasks import Length, Task
from looksee.models.registry.options import ModelSettings

TEXT_TASKS = frozenset({Task.CAPTION, Task.COLLECTIVE, Task.QUERY, Task.CLASSIFY})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOffer:
    """A model that can be asked, here or elsewhere, and what it understands.

    `lengths` are those of the captions that it can write where no prompt is given. A model that `reasons` takes
    `reasoning`, `spatial_refs` and questions without a picture. One that `chats` knows turns, system sentences and
    several pictures. One that `continues_prompt` writes on from a caption's prompt. What one that `forces` answers can
    be forced into a form, as JSON: its tokens are bytes.
    """

    name: str
    tasks: frozenset[Task]
    lengths: tuple[Length, ...] = ("normal",)
    reasons: bool = False
    chats: bool = False
    continues_prompt: bool = False
    forces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec(ModelOffer):
    """A model that is served here. Its runner's service, its settings and its rows in every table come from this.

    - `title` and `description` are for people; `since` is the day from which transformers has the architecture, or of
      the release where it has not.
    - `hub_id` is pinned to the full commit `revision`; `tokenizer` is a repository and a commit where the checkpoint
      comes without its own. `licence` is the publisher's word for it.
    - `parameters` counts tied ones once; `hub_bytes` are the weights' files on the hub.
    - `context` counts the positions of prompt and answer together, pictures included where they are among them (not for
      BLIP), of the published weights.
    - `kv_shape` is what its decoder keeps of a position: keys and values of so many numbers (heads x head size) in so
      many layers, (layers, numbers). Of BLIP's cross-attention the positions are those of the picture.
    - `model_class` is `module:class`, imported by the process that loads the model and by no other.
    - `settings` are its LOOKSEE_<NAME>_... variables.
    - `refused_dtypes` are those that it is not run in, each with the reason.
    - `caption_prompt` is its instruction where the caller has none; it is empty for a model that continues a prompt and
      for one with templates of its own. `question_format` has a `{question}`.
    - `instructed`: though it takes one question, instructions may stand before it. `chained`: earlier questions about
      the picture may, each in `question_format` with its answer behind it.
    - `one_line`: it has learnt texts of a single line, so line ends in a caller's are spaces to it.
    """

    title: str
    description: str
    hub_id: str
    revision: str
    licence: str
    gated: bool
    parameters: int
    hub_bytes: int
    since: date
    context: int
    model_class: str
    settings: type[ModelSettings]
    tokenizer: tuple[str, str] | None = None
    kv_shape: tuple[int, int] | None = None
    refused_dtypes: tuple[tuple[str, str], ...] = ()
    caption_prompt: str = ""
    question_format: str = "{question}"
    one_line: bool = False
    instructed: bool = False
    chained: bool = False

    @property
    def bf16_bytes(self) -> int:
        """What the weights take in memory as bfloat16."""
        return 2 * self.parameters

    @property
    def host_gib(self) -> int:
        """Memory of its host, in GiB, that a process of the model should have asked for: room for the published files,
        which are read through it, and 2 GiB for the process.
        """
        return math.ceil(self.hub_bytes / 2**30) + 2

    @property
    def size(self) -> str:
        """The number of parameters for display, as in `3.74 B`."""
        return f"{self.parameters / 1e9:.2f} B" if self.parameters >= 1e9 else f"{self.parameters / 1e6:.0f} M"

    @property
    def service_name(self) -> str:
        """The name of the runner's BentoML service, as in `InternVlm`."""
        return "".join(part.capitalize() for part in self.name.split("_"))
