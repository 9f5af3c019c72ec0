"""The models on offer: where the published weights are, under which licence, and what each can do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from looksee.core import errors
from looksee.core.tasks import Task


@dataclass(frozen=True, slots=True)
class ModelOffer:
    """A model that can be asked, and for what."""

    name: str
    tasks: frozenset[Task]


@dataclass(frozen=True, slots=True)
class ModelSpec(ModelOffer):
    """A model of ours. `revision` is the full commit on the hub that `hub_id` is pinned to.

    `licence` is the publisher's word for it. `parameters` counts tied ones once; `hub_bytes` are the weights' files on
    the hub, which for the BLIPs are float32. `since` is the day from which transformers has the architecture, or of the
    release where it has not. `tokenizer` is its repository and commit where the checkpoint comes without its own.
    """

    title: str
    hub_id: str
    revision: str
    licence: str
    gated: bool
    parameters: int
    hub_bytes: int
    since: date
    tokenizer: tuple[str, str] | None = None

    @property
    def bf16_bytes(self) -> int:
        """What the weights take in memory as bfloat16."""
        return 2 * self.parameters

    @property
    def size(self) -> str:
        """The parameters, as one says it."""
        return f"{self.parameters / 1e9:.2f} B" if self.parameters >= 1e9 else f"{self.parameters / 1e6:.0f} M"


_TEXTS = frozenset({Task.CAPTION, Task.COLLECTIVE, Task.QUERY})

REGISTRY: dict[str, ModelSpec] = {
    entry.name: entry
    for entry in (
        ModelSpec(
            name="blip",
            title="BLIP base",
            hub_id="Salesforce/blip-image-captioning-base",
            revision="82a37760796d32b1411fe092ab5d4e227313294b",
            licence="bsd-3-clause",
            gated=False,
            parameters=223_971_644,
            hub_bytes=989_820_849,
            since=date(2022, 12, 21),
            tasks=frozenset({Task.CAPTION}),
        ),
        ModelSpec(
            name="blip2",
            title="BLIP-2 OPT 2.7B",
            hub_id="Salesforce/blip2-opt-2.7b",
            revision="59a1ef6c1e5117b3f65523d1c6066825bcf315e3",
            licence="mit",
            gated=False,
            parameters=3_744_761_856,
            hub_bytes=14_979_207_136,
            since=date(2023, 2, 9),
            tasks=frozenset({Task.CAPTION, Task.QUERY}),
        ),
        ModelSpec(
            name="gemma",
            title="Gemma 3 4B",
            hub_id="google/gemma-3-4b-it",
            revision="093f9f388b31de276ce2de164bdc2081324b9767",
            licence="gemma",
            gated=True,
            parameters=4_300_079_472,
            hub_bytes=8_600_277_880,
            since=date(2025, 3, 12),
            tasks=_TEXTS,
        ),
        ModelSpec(
            name="intern_vlm",
            title="InternVL3 1B",
            hub_id="OpenGVLab/InternVL3-1B-hf",
            revision="014c0583a0d4bedf29fbe2dbff4f865eb998e171",
            licence="Apache-2.0 and Qwen licence",
            gated=False,
            parameters=938_193_024,
            hub_bytes=1_876_478_048,
            since=date(2025, 4, 18),
            tasks=_TEXTS,
        ),
        ModelSpec(
            name="moondream",
            title="Moondream2",
            hub_id="vikhyatk/moondream2",
            revision="9a7d4024050840e001defacec2b00727e89149e6",  # the tag 2025-06-21
            licence="apache-2.0",
            gated=False,
            parameters=1_927_237_104,
            hub_bytes=3_854_538_968,
            since=date(2025, 6, 21),
            tasks=frozenset({Task.CAPTION, Task.QUERY, Task.DETECT, Task.POINT}),
            tokenizer=("moondream/starmie-v1", "35192e10a54e36eabe0a7cc57a2c1aab371cafc5"),
        ),
    )
}


# What clients of other servers call them; "moondream3-preview" is what the moondream package chats with by default.
ALIASES = {"moondream2": "moondream", "moondream-2b": "moondream", "moondream3-preview": "moondream"}
# Models that others serve and that may be asked from here: none, unless the gateway is told to
# (`looksee.gateway.moondream_cloud`).
REMOTE_MODELS: dict[str, ModelOffer] = {}


def offers() -> dict[str, ModelOffer]:
    """Every model that can be asked, by name."""
    return {**REGISTRY, **REMOTE_MODELS}


def offer_for(name: str, task: Task) -> ModelOffer:
    """The model of that name, which can do `task`. Raises UnknownModel or TaskNotSupported, naming those that can."""
    known = offers()
    if name not in known:
        raise errors.UnknownModel(f"There is no model '{name}'. Choose one of: {', '.join(known)}.", param="model")
    if task not in known[name].tasks:
        able = ", ".join(other.name for other in known.values() if task in other.tasks)
        raise errors.TaskNotSupported(f"The model '{name}' has no task '{task}'. These have it: {able}.", param="model")
    return known[name]
