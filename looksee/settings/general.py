"""Every setting of the service. The README's table and `.env.example` are printed from this module.

Precedence: command line > environment > `.env` > default. Bare names (PORT, REDIS_HOST, ...) are those of the systems
that this service replaces; the others start with LOOKSEE_.
"""

from __future__ import annotations

import functools
import os
from typing import Annotated, Any, Literal

from dotenv import load_dotenv
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from looksee.core.addresses import Allowlist

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]

Keys = Annotated[str, Field(pattern=r"^[ -~]*$")]  # characters that any client can send in a header


def _hosts(text: str) -> str:
    Allowlist.parse(text, "")
    return text


def _networks(text: str) -> str:
    Allowlist.parse("", text)
    return text


class ModelSettings(BaseModel):
    """The settings that every model has: LOOKSEE_<MODEL>_WEIGHTS and so on. Each model's class adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str = Field("", description="`<hub id>[@revision]`, a directory, or `sample`; empty: LOOKSEE_WEIGHTS")
    url: str = Field("", description="where the model's runner is served alone; empty: on this machine")
    device: Literal[""] | Device = Field("", description="as LOOKSEE_DEVICE, for this model; empty: LOOKSEE_DEVICE")
    dtype: Literal[""] | Dtype = Field("", description="as LOOKSEE_DTYPE, for this model; empty: LOOKSEE_DTYPE")
    max_batch_rows: PositiveInt = Field(32, description="rows that decode together at most")
    max_prefill_rows: PositiveInt = Field(8, description="newcomers that are prefilled together at most")

    @property
    def batch_cost(self) -> int:
        """What the rows of a running batch may cost together, in the unit of the model's `Row.cost`."""
        raise NotImplementedError

    def options(self, *, sample: bool) -> dict[str, Any]:
        """What else the model is loaded with; `sample` weights may want other defaults."""
        return {}


class _BoundByImageTokens(ModelSettings):
    """A model whose running batch takes memory by the tokens of its pictures, which stay as long as their rows run."""

    max_batch_image_tokens: PositiveInt

    @property
    def batch_cost(self) -> int:
        return self.max_batch_image_tokens


class BlipSettings(_BoundByImageTokens):
    """BLIP keeps the cross-attention's keys and values of every picture token in every layer."""

    max_batch_image_tokens: PositiveInt = Field(
        32 * 577, description="picture tokens in a running batch at most; a published BLIP: 577 a picture"
    )


class _Remembers(ModelSettings):
    """A model that keeps what its vision tower made of a picture for further questions about it."""

    feature_cache_bytes: NonNegativeInt = Field(
        64 * 2**20, description="memory for the features of the latest pictures; 0: none are kept"
    )

    def options(self, *, sample: bool) -> dict[str, Any]:
        return {"feature_bytes": self.feature_cache_bytes}


class Blip2Settings(_BoundByImageTokens, _Remembers):
    """BLIP-2's Q-Former makes a few tokens of a picture, which stand before the prompt."""

    max_batch_image_tokens: PositiveInt = Field(
        32 * 32, description="picture tokens in a running batch at most; a published BLIP-2: 32 a picture"
    )


class GemmaSettings(_BoundByImageTokens, _Remembers):
    """Gemma pools a picture to tokens that stand in the prompt; a collective caption has those of all its pictures."""

    max_batch_image_tokens: PositiveInt = Field(
        32 * 256, description="picture tokens in a running batch at most; a published Gemma 3: 256 a picture"
    )


class InternVlmSettings(_Remembers):
    """InternVL cuts a picture into square tiles of its resolution; each goes through the vision tower by itself."""

    max_batch_tiles: PositiveInt = Field(
        64, description="picture tiles in a running batch at most; a published InternVL3: 256 tokens a tile"
    )
    max_tiles: NonNegativeInt = Field(
        0, le=12, description="tiles that a picture is cut into at most, beside a thumbnail; 0: 1 for samples, else 6"
    )

    @property
    def batch_cost(self) -> int:
        return self.max_batch_tiles

    def options(self, *, sample: bool) -> dict[str, Any]:
        # The sample weights have learnt from pictures in one tile.
        return {**super().options(sample=sample), "max_tiles": self.max_tiles or (1 if sample else 6)}


class MoondreamSettings(_BoundByImageTokens):
    """Moondream2 sees a picture whole and in overlapping crops and makes of it a fixed number of tokens before the
    prompt, whose keys and values are kept for further questions about it.
    """

    max_batch_image_tokens: PositiveInt = Field(
        32 * 730, description="picture tokens in a running batch at most; a published Moondream2: 730 a picture"
    )
    max_crops: NonNegativeInt = Field(
        0,
        le=12,
        description="crops that a picture is cut into at most; 0: the checkpoint's number (published: 12), but on a "
        "CPU 2 except for samples",
    )
    prefix_cache_bytes: NonNegativeInt = Field(
        2**30, description="memory for what the decoder made of the latest pictures; 0: nothing is kept"
    )
    cloud_url: str = Field(
        "https://api.moondream.ai/v1",
        pattern=r"^https?://\S+$",
        description="where `moondream-cloud` is, with MOONDREAM_CLOUD_API_KEY",
    )
    cuda_graphs: bool = Field(
        False, description="replay decode steps as CUDA graphs, on a CUDA device; off until measured on one"
    )

    def options(self, *, sample: bool) -> dict[str, Any]:
        # On two CPU cores the published vision tower takes 2.5 s a crop in float32: 13 crops would be half a minute.
        return {
            "max_crops": self.max_crops or None,
            "cpu_crops": None if sample else 2,
            "prefix_bytes": self.prefix_cache_bytes,
            "cuda_graphs": self.cuda_graphs,
        }


class Settings(BaseSettings):
    """All settings, read once from the environment."""

    model_config = SettingsConfigDict(
        env_prefix="LOOKSEE_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    env: str = Field("production", validation_alias="ENV", description="a name for this deployment, shown by /health")
    debug: bool = Field(False, validation_alias="DEBUG", description="admin routes ask for no key")
    port: PositiveInt = Field(3000, le=65535, validation_alias="PORT", description="port to serve on")
    api_key: str = Field("", validation_alias="API_KEY", description="key of the admin routes (X-API-Key)")
    client_keys: Keys = Field("", description="keys of clients, comma separated; empty: whoever reaches it may use it")
    moondream_api_key: Keys = Field(
        "", validation_alias="MOONDREAM_API_KEY", description="one more client key, as X-Moondream-Auth"
    )
    moondream_cloud_api_key: str = Field(
        "",
        validation_alias="MOONDREAM_CLOUD_API_KEY",
        description="your key of Moondream's cloud: requests that name the model `moondream-cloud` are sent there; "
        "empty: nothing is",
    )
    metrics_key: Keys = Field("", description="key that /metrics asks for; empty: open")
    requests_per_minute: NonNegativeInt = Field(
        0, description="requests to models a minute of each client key, or address without keys; 0: no limit"
    )
    log_format: Literal["text", "json"] = Field("text", description="text for people, json: one object a line")

    redis_url: str = Field("", validation_alias="REDIS_URL", description="Redis as a URL; wins over REDIS_HOST")
    redis_host: str = Field("", validation_alias="REDIS_HOST", description="Redis host; empty: no cache")
    redis_port: PositiveInt = Field(6379, validation_alias="REDIS_PORT", description="Redis port")
    redis_db: NonNegativeInt = Field(0, validation_alias="REDIS_DB", description="Redis database number")
    cache_ttl_seconds: PositiveInt = Field(
        86400, validation_alias="CACHE_TTL_SECONDS", description="seconds an answer stays in the cache"
    )
    cache_timeout_ms: PositiveInt = Field(100, description="milliseconds Redis may take before it is passed over")

    weights: Literal["hub", "sample"] = Field(
        "hub", description="published weights from the hub, or the bundled sample weights that know drawn scenes only"
    )
    device: Device = Field(
        "auto", description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`; auto takes a GPU if it finds one"
    )
    dtype: Dtype = Field("auto", description="auto: bfloat16 on a GPU, float32 on a CPU")
    torch_threads: NonNegativeInt = Field(0, description="CPU threads of each runner; 0: half of the cores")
    prepare_threads: NonNegativeInt = Field(
        0, description="threads of each runner that decode pictures; 0: half of the cores"
    )
    load_wait_seconds: PositiveFloat = Field(60, description="seconds a request waits for weights that are loading")
    model_capacity: NonNegativeInt = Field(
        1, validation_alias="MODEL_CAPACITY", description="models loaded at a time on this machine; 0: no limit"
    )
    blip: BlipSettings = BlipSettings()
    blip2: Blip2Settings = Blip2Settings()
    gemma: GemmaSettings = GemmaSettings()
    intern_vlm: InternVlmSettings = InternVlmSettings()
    moondream: MoondreamSettings = MoondreamSettings()

    flag_prompt: str = Field("", description="question whose yes sets `flagged` where a request brings none")
    request_timeout_seconds: PositiveFloat = Field(
        100, le=110, description="seconds until a request is answered 504; at most 110"
    )
    batch_timeout_seconds: PositiveFloat = Field(
        3600, description="seconds until what is left of a batch is answered 504, each item by itself"
    )
    max_queue: PositiveInt = Field(256, description="jobs that wait for a model at most; then 429")
    max_file_bytes: PositiveInt = Field(
        10 * 2**20, validation_alias="MAX_CONTENT_LENGTH", description="bytes of one picture file"
    )
    max_request_bytes: PositiveInt = Field(64 * 2**20, description="bytes of one request")
    max_files: PositiveInt = Field(32, description="pictures in one request")
    max_batch_items: PositiveInt = Field(4096, description="items of one batch")
    max_pixels: PositiveInt = Field(64_000_000, description="pixels of one picture")
    min_side: PositiveInt = Field(3, description="pixels of a picture's smallest side")
    max_prompt_chars: PositiveInt = Field(4000, description="characters of a prompt")
    max_new_tokens: PositiveInt = Field(1024, description="new tokens of one answer")

    image_url_hosts: Annotated[str, AfterValidator(_hosts)] = Field(
        "",
        description="hosts that pictures may be fetched from, comma separated: `example.org`, `*.example.org` (those "
        "below it), `*` (any public one), each with a port if it is not the usual one; empty: none",
    )
    image_url_networks: Annotated[str, AfterValidator(_networks)] = Field(
        "",
        description="private networks, comma separated (`10.1.0.0/16`), that those hosts may lie in; not by `*`",
    )
    image_url_timeout_seconds: PositiveFloat = Field(10, le=60, description="seconds in which a picture is fetched")

    def clients(self) -> list[str]:
        """The keys of clients; none: the service is open."""
        return [key for key in (*map(str.strip, self.client_keys.split(",")), self.moondream_api_key) if key]

    def redis(self) -> str:
        """The Redis to use as a URL; empty when none is configured."""
        if self.redis_url or not self.redis_host:
            return self.redis_url
        return f"redis://{self.redis_host}:{self.redis_port}/{self.redis_db}"

    def model(self, name: str) -> ModelSettings:
        """The settings of the model `name`."""
        own: ModelSettings = getattr(self, name)
        return own

    def threads(self) -> int:
        """CPU threads of a runner: what is set, else half of the cores this process may use."""
        return self.torch_threads or _half_of_the_cores()

    def preparing(self) -> int:
        """Threads of a runner that decode pictures, likewise."""
        return self.prepare_threads or _half_of_the_cores()


def _half_of_the_cores() -> int:
    return max(1, len(os.sched_getaffinity(0)) // 2)


MODELS: dict[str, type[ModelSettings]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, ModelSettings)
}


@functools.cache
def settings() -> Settings:
    """The settings of this process. A bad one ends the program with a line that names it."""
    load_dotenv(".env")
    try:
        return Settings()
    except ValidationError as error:
        found: dict[str, str] = {}  # the first complaint of each: a union has one for each of its types
        for one in error.errors():
            found.setdefault(_variable(*map(str, one["loc"][:2])), one["msg"])
    except SettingsError as error:  # a model's settings given as a whole, and not as JSON
        found = {"settings": f"{error}"}
        for name in MODELS:
            if f'"{name}"' in str(error):
                found = {_variable(name): f"set {_variable(name)}_WEIGHTS and the like instead"}
    lines = [f"  {variable}: {message}" for variable, message in found.items()]
    raise SystemExit("Looksee cannot start; these settings are wrong:\n" + "\n".join(lines))


def rows() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting: the general ones, those that all models have (once, as <MODEL>),
    and each model's own.
    """
    shared = ModelSettings.model_fields
    fields = [(_variable(name), field) for name, field in Settings.model_fields.items() if name not in MODELS]
    fields += [(f"LOOKSEE_<MODEL>_{name}".upper(), field) for name, field in shared.items()]
    for model, cls in MODELS.items():
        own = [(name, field) for name, field in cls.model_fields.items() if name not in shared]
        fields += [(f"LOOKSEE_{model}_{name}".upper(), field) for name, field in own]
    return [(variable, _shown(field.default), field.description or "") for variable, field in fields]


def _variable(name: str, *inner: str) -> str:
    """The environment's name of a field, or of a field in a nested one."""
    field = Settings.model_fields.get(name)
    bare = field.validation_alias if field else name  # a bare name is reported as itself
    return str(bare or "_".join(("LOOKSEE", name, *inner)).upper())


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def markdown() -> str:
    """The README's table."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |" for name, default, meaning in rows()]
    return "\n".join(lines)


def dotenv() -> str:
    """The text of `.env.example`: every setting, commented out, with its default."""
    blocks = [f"# {meaning}\n#{name.replace('<MODEL>', 'BLIP')}={default}" for name, default, meaning in rows()]
    return "# Copy to .env and change what you need. Every line shows the default.\n\n" + "\n\n".join(blocks) + "\n"
