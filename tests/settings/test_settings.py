"""Where a setting's value comes from, what a bad one looks like, and that the printed tables leave none out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from looksee.models.registry import REGISTRY
from looksee.models.registry.blip import BlipSettings
from looksee.models.registry.options import ModelSettings
from looksee.settings import Settings, cpu, settings, tables

CLASSES = {name: spec.settings for name, spec in REGISTRY.items()}
BARE = [
    ("ENV", "staging", "env", "staging"),
    ("DEBUG", "true", "debug", True),
    ("DEBUG", "1", "debug", True),
    ("PORT", "8080", "port", 8080),
    ("API_KEY", "s3cret", "api_key", "s3cret"),
    ("MOONDREAM_API_KEY", "m00n", "moondream_api_key", "m00n"),
    ("MOONDREAM_CLOUD_API_KEY", "cl0ud", "moondream_cloud_api_key", "cl0ud"),
    ("REDIS_URL", "redis://r:1/2", "redis_url", "redis://r:1/2"),
    ("REDIS_HOST", "cache", "redis_host", "cache"),
    ("REDIS_PORT", "6380", "redis_port", 6380),
    ("REDIS_DB", "3", "redis_db", 3),
    ("CACHE_TTL_SECONDS", "60", "cache_ttl_seconds", 60),
    ("MAX_CONTENT_LENGTH", "1024", "max_file_bytes", 1024),
    ("MODEL_CAPACITY", "0", "model_capacity", 0),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318", "otel_exporter_otlp_endpoint", "http://c:4318"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/v1", "otel_exporter_otlp_traces_endpoint", "http://c/v1"),
    ("OTEL_TRACES_EXPORTER", "none", "otel_traces_exporter", "none"),
    ("OTEL_SDK_DISABLED", "true", "otel_sdk_disabled", True),
    ("OTEL_SERVICE_NAME", "mine", "otel_service_name", "mine"),
]
PREFIXED = [
    ("LOOKSEE_CACHE_TIMEOUT_MS", "50", "cache_timeout_ms", 50),
    ("LOOKSEE_MODELS", "blip, moondream", "models", "blip, moondream"),
    ("LOOKSEE_MODEL_ALIASES", "gpt-4o=gemma", "model_aliases", "gpt-4o=gemma"),
    ("LOOKSEE_WEIGHTS", "sample", "weights", "sample"),
    ("LOOKSEE_DEVICE", "cuda:1", "device", "cuda:1"),
    ("LOOKSEE_DTYPE", "bfloat16", "dtype", "bfloat16"),
    ("LOOKSEE_CUDA_GRAPHS", "true", "cuda_graphs", True),
    ("LOOKSEE_TORCH_THREADS", "3", "torch_threads", 3),
    ("LOOKSEE_PREPARE_THREADS", "4", "prepare_threads", 4),
    ("LOOKSEE_PRELOAD", "blip", "preload", "blip"),
    ("LOOKSEE_PIN", "gemma", "pin", "gemma"),
    ("LOOKSEE_KEEP_ALIVE_SECONDS", "300", "keep_alive_seconds", 300.0),
    ("LOOKSEE_LOAD_WAIT_SECONDS", "1.5", "load_wait_seconds", 1.5),
    ("LOOKSEE_LOAD_RETRY_SECONDS", "2.5", "load_retry_seconds", 2.5),
    ("LOOKSEE_STALL_SECONDS", "0", "stall_seconds", 0.0),
    ("LOOKSEE_SILENCE_SECONDS", "7.5", "silence_seconds", 7.5),
    ("LOOKSEE_REQUEST_TIMEOUT_SECONDS", "110", "request_timeout_seconds", 110.0),
    ("LOOKSEE_HEARTBEAT_SECONDS", "2.5", "heartbeat_seconds", 2.5),
    ("LOOKSEE_MAX_QUEUE", "5", "max_queue", 5),
    ("LOOKSEE_MAX_UPLOAD_BYTES", "6", "max_upload_bytes", 6),
    ("LOOKSEE_MAX_PREPARED_BYTES", "7", "max_prepared_bytes", 7),
    ("LOOKSEE_MAX_REQUEST_BYTES", "4096", "max_request_bytes", 4096),
    ("LOOKSEE_MAX_FILES", "2", "max_files", 2),
    ("LOOKSEE_MAX_BATCH_ITEMS", "50", "max_batch_items", 50),
    ("LOOKSEE_BATCH_TIMEOUT_SECONDS", "900", "batch_timeout_seconds", 900.0),
    ("LOOKSEE_MAX_PIXELS", "900", "max_pixels", 900),
    ("LOOKSEE_MIN_SIDE", "9", "min_side", 9),
    ("LOOKSEE_MAX_PROMPT_CHARS", "10", "max_prompt_chars", 10),
    ("LOOKSEE_MAX_CHAT_CHARS", "15", "max_chat_chars", 15),
    ("LOOKSEE_MAX_NEW_TOKENS", "20", "max_new_tokens", 20),
    ("LOOKSEE_IMAGE_FORMATS", "png, JPEG", "image_formats", "png, JPEG"),
    ("LOOKSEE_IMAGE_URL_HOSTS", "example.org, *:8443", "image_url_hosts", "example.org, *:8443"),
    ("LOOKSEE_IMAGE_URL_NETWORKS", "10.1.0.0/16,::1", "image_url_networks", "10.1.0.0/16,::1"),
    ("LOOKSEE_IMAGE_URL_TIMEOUT_SECONDS", "2.5", "image_url_timeout_seconds", 2.5),
    ("LOOKSEE_CLIENT_KEYS", "one, two", "client_keys", "one, two"),
    ("LOOKSEE_RUNNER_KEY", "runn3r", "runner_key", "runn3r"),
    ("LOOKSEE_METRICS_KEY", "m3trics", "metrics_key", "m3trics"),
    ("LOOKSEE_REQUESTS_PER_MINUTE", "60", "requests_per_minute", 60),
    ("LOOKSEE_ALLOWED_ORIGINS", "https://a.example, *", "allowed_origins", "https://a.example,*"),
    ("LOOKSEE_LOG_FORMAT", "json", "log_format", "json"),
    ("LOOKSEE_DRAIN_SECONDS", "2.5", "drain_seconds", 2.5),
    ("LOOKSEE_FLAG_PROMPT", "Is it safe?", "flag_prompt", "Is it safe?"),
    ("LOOKSEE_MAX_KEPT_PICTURES", "0", "max_kept_pictures", 0),
    ("LOOKSEE_MAX_KEPT_BYTES", "77", "max_kept_bytes", 77),
    ("LOOKSEE_KEPT_PICTURE_SECONDS", "5", "kept_picture_seconds", 5),
]
SHARED: list[tuple[str, str, object]] = [  # by all models
    ("WEIGHTS", "owner/name@main", "owner/name@main"),
    ("URL", "http://a:3001, HTTP://B:3001/", "http://a:3001,http://b:3001"),
    ("DEVICE", "cuda", "cuda"),
    ("DTYPE", "float16", "float16"),
    ("CUDA_GRAPHS", "true", True),
    ("MAX_BATCH_ROWS", "7", 7),
    ("MAX_BATCH_BYTES", "9", 9),
    ("MAX_PREFILL_ROWS", "3", 3),
]
OWN: list[tuple[str, str, str, object]] = [
    ("blip", "MAX_BATCH_IMAGE_TOKENS", "577", 577),
    ("blip2", "MAX_BATCH_IMAGE_TOKENS", "64", 64),
    ("blip2", "FEATURE_CACHE_BYTES", "0", 0),
    ("blip2", "PREFIX_CACHE_BYTES", "7", 7),
    ("gemma", "PREFIX_CACHE_BYTES", "0", 0),
    ("intern_vlm", "PREFIX_CACHE_BYTES", "6", 6),
    ("gemma", "MAX_BATCH_IMAGE_TOKENS", "512", 512),
    ("gemma", "FEATURE_CACHE_BYTES", "1024", 1024),
    ("intern_vlm", "FEATURE_CACHE_BYTES", "5", 5),
    ("intern_vlm", "MAX_BATCH_TILES", "9", 9),
    ("intern_vlm", "MAX_TILES", "12", 12),
    ("moondream", "MAX_BATCH_IMAGE_TOKENS", "729", 729),
    ("moondream", "MAX_CROPS", "3", 3),
    ("moondream", "PREFIX_CACHE_BYTES", "0", 0),
    ("moondream", "CLOUD_URL", "https://vendor/v1", "https://vendor/v1"),
]
NESTED = [*((model, *shared) for model in REGISTRY for shared in SHARED), *OWN]


def variable_of(model: str, name: str) -> str:
    return f"LOOKSEE_{model.upper()}_{name}"


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, no variable of ours, and everything as before afterwards (a `.env` writes `os.environ`)."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    ours = {name for name, _, _ in tables.rows()}
    for name in before:
        if name.upper() in ours or name.upper().startswith("LOOKSEE_"):
            del os.environ[name]
    settings.cache_clear()
    yield
    settings.cache_clear()
    os.environ.clear()
    os.environ.update(before)


def refusal() -> str:
    """What is said of bad settings."""
    with pytest.raises(SystemExit) as caught:
        settings()
    return str(caught.value)


def test_these_tables_name_every_setting() -> None:
    assert {attribute for _, _, attribute, _ in BARE + PREFIXED} == set(Settings.model_fields) - set(REGISTRY)
    assert {name.lower() for name, _, _ in SHARED} == set(ModelSettings.model_fields)
    for model, cls in CLASSES.items():
        assert {name.lower() for other, name, _, _ in NESTED if other == model} == set(cls.model_fields)


@pytest.mark.parametrize(("variable", "text", "attribute", "value"), BARE + PREFIXED)
def test_a_variable_sets_its_setting(variable: str, text: str, attribute: str, value: object) -> None:
    os.environ["MODEL_CAPACITY"] = "2"  # so that a model may be pinned
    assert getattr(settings(), attribute) != value
    settings.cache_clear()
    os.environ[variable] = text
    assert getattr(settings(), attribute) == value


@pytest.mark.parametrize(("model", "name", "text", "value"), NESTED)
def test_a_models_variable_sets_that_models_setting_alone(model: str, name: str, text: str, value: object) -> None:
    before = settings()
    assert getattr(before.model(model), name.lower()) != value
    settings.cache_clear()
    os.environ[variable_of(model, name)] = text
    assert getattr(settings().model(model), name.lower()) == value
    assert settings().model(model) == getattr(settings(), model)
    assert [other for other in REGISTRY if settings().model(other) != before.model(other)] == [model]
    assert settings().weights == "hub"


@pytest.mark.parametrize(
    ("model", "variables", "cost"),
    [
        ("blip", {}, 32 * 577),
        ("blip2", {"LOOKSEE_BLIP2_MAX_BATCH_IMAGE_TOKENS": "64"}, 64),
        ("gemma", {"LOOKSEE_GEMMA_MAX_BATCH_IMAGE_TOKENS": "512"}, 512),
        ("intern_vlm", {"LOOKSEE_INTERN_VLM_MAX_BATCH_TILES": "9", "LOOKSEE_INTERN_VLM_MAX_TILES": "2"}, 9),
        ("moondream", {}, 32 * 730),
    ],
)
def test_what_a_batch_may_cost_is_said_in_the_models_unit(model: str, variables: dict[str, str], cost: int) -> None:
    os.environ.update(variables)
    assert settings().model(model).batch_cost == cost


def test_several_settings_of_a_model_stand_side_by_side() -> None:
    os.environ.update(LOOKSEE_BLIP_WEIGHTS="sample", LOOKSEE_BLIP_MAX_BATCH_ROWS="4")
    assert settings().model("blip") == BlipSettings(weights="sample", max_batch_rows=4)


@pytest.mark.parametrize(
    ("environment", "dotenv", "expected"),
    [
        (None, None, 3000),
        (None, "PORT=4000", 4000),
        ("5000", None, 5000),
        ("5000", "PORT=4000", 5000),
        (None, "#PORT=4000", 3000),
        (None, 'PORT="4000"  # quoted', 4000),
    ],
)
def test_the_environment_wins_over_the_file_over_the_default(
    environment: str | None, dotenv: str | None, expected: int
) -> None:
    if environment:
        os.environ["PORT"] = environment
    if dotenv:
        Path(".env").write_text(dotenv)
    assert settings().port == expected


def test_the_file_sets_a_models_settings_too() -> None:
    Path(".env").write_text("LOOKSEE_BLIP_WEIGHTS=sample\nLOOKSEE_BLIP_DEVICE=cpu\n")
    os.environ["LOOKSEE_BLIP_DEVICE"] = "cuda:0"
    assert (settings().model("blip").weights, settings().model("blip").device) == ("sample", "cuda:0")


@pytest.mark.parametrize("where", ["environment", "file"])
def test_an_empty_value_is_no_value(where: str) -> None:
    names = [name for name, _, _, _ in BARE + PREFIXED] + [variable_of(model, name) for model, name, _, _ in NESTED]
    if where == "environment":
        os.environ.update(dict.fromkeys(names, ""))
    else:
        Path(".env").write_text("".join(f"{name}=\n" for name in names))
    filled = settings()
    for name, field in Settings.model_fields.items():
        assert getattr(filled, name) == field.default, name


def test_settings_are_read_once_and_cannot_be_changed() -> None:
    first = settings()
    os.environ["PORT"] = "9999"
    assert settings() is first
    with pytest.raises(ValidationError):
        setattr(first, "port", 1)  # noqa: B010  # type checkers know that it is read-only
    with pytest.raises(ValidationError):
        setattr(first.model("blip"), "url", "x")  # noqa: B010
    assert (first.port, first.model("blip").url) == (3000, "")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PORT", "eighty"),
        ("PORT", "0"),
        ("DEBUG", "maybe"),
        ("REDIS_DB", "-1"),
        ("CACHE_TTL_SECONDS", "0"),
        ("MAX_CONTENT_LENGTH", "10MB"),
    ],
)
def test_a_bad_value_ends_the_program_with_a_line_that_names_it(variable: str, text: str) -> None:
    os.environ[variable] = text
    said = refusal()
    assert [line for line in said.splitlines() if line.startswith(f"  {variable}: ")] == said.splitlines()[1:]
    assert len(said.splitlines()) == 2
    assert "Traceback" not in said
    assert "pydantic" not in said


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LOOKSEE_MAX_QUEUE", "0"),
        ("LOOKSEE_MODELS", "blip,gemini"),
        ("LOOKSEE_MODELS", "blip,,gemma"),
        ("LOOKSEE_MODELS", " "),
        ("LOOKSEE_DEVICE", "tpu"),
        ("LOOKSEE_WEIGHTS", "somewhere"),
        ("LOOKSEE_REQUEST_TIMEOUT_SECONDS", "111"),
        ("LOOKSEE_CLIENT_KEYS", "sch\u00f6n"),
        ("LOOKSEE_REQUESTS_PER_MINUTE", "-1"),
        ("LOOKSEE_ALLOWED_ORIGINS", "app.example.org"),
        ("LOOKSEE_ALLOWED_ORIGINS", "https://app.example.org/page"),
        ("LOOKSEE_ALLOWED_ORIGINS", "https://*.example.org"),
        ("LOOKSEE_ALLOWED_ORIGINS", "https://a.example https://b.example"),
        ("LOOKSEE_LOG_FORMAT", "xml"),
        ("LOOKSEE_DRAIN_SECONDS", "0"),
        ("LOOKSEE_DRAIN_SECONDS", "86401"),
        ("LOOKSEE_BLIP_MAX_BATCH_ROWS", "0"),
        ("LOOKSEE_BLIP_TYPO", "1"),
        ("LOOKSEE_BLIP2_MAX_BATCH_ROWS", "-1"),
        ("LOOKSEE_INTERN_VLM_MAX_TILES", "13"),
        ("LOOKSEE_INTERN_VLM_MAX_BATCH_IMAGE_TOKENS", "1"),
        ("LOOKSEE_MAX_NEW_TOKENS", "0"),
        ("MODEL_CAPACITY", "-1"),
        ("LOOKSEE_BLIP_DEVICE", "tpu"),
        ("LOOKSEE_BLIP_DTYPE", "float8"),
        ("LOOKSEE_IMAGE_FORMATS", "png, psd"),
        ("LOOKSEE_IMAGE_FORMATS", " , "),
        ("LOOKSEE_IMAGE_URL_HOSTS", "https://example.org"),
        ("LOOKSEE_IMAGE_URL_NETWORKS", "0.0.0.0/0"),
        ("LOOKSEE_IMAGE_URL_TIMEOUT_SECONDS", "61"),
    ],
)
def test_a_bad_value_of_our_own_variables_is_named_once_by_its_variable(variable: str, text: str) -> None:
    os.environ[variable] = text
    lines = refusal().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"  {variable}: ")


@pytest.mark.parametrize("model", REGISTRY)
def test_a_model_set_as_a_whole_to_nonsense_ends_the_program_too(model: str) -> None:
    variable = f"LOOKSEE_{model.upper()}"
    os.environ[variable] = "sample"
    assert refusal().splitlines()[1:] == [f"  {variable}: set {variable}_WEIGHTS and the like instead"]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LOOKSEE_REQUEST_TIMEOUT_SECONDS", "nan"),
        ("LOOKSEE_BLIP_DEVICE", "cuda:x"),
        ("LOOKSEE_BLIP_DTYPE", "float8"),
    ],
)
def test_bad_values_of_our_own_variables_are_refused(variable: str, text: str) -> None:
    os.environ[variable] = text
    assert variable in refusal()


def test_all_bad_values_are_told_at_once() -> None:
    os.environ.update(PORT="x", REDIS_PORT="y")
    said = refusal()
    assert "  PORT: " in said
    assert "  REDIS_PORT: " in said


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ""),
        ({"REDIS_PORT": "7000", "REDIS_DB": "4"}, ""),
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        ({"REDIS_HOST": "10.0.0.1", "REDIS_PORT": "7000", "REDIS_DB": "4"}, "redis://10.0.0.1:7000/4"),
        ({"REDIS_URL": "rediss://:p@r:1/2"}, "rediss://:p@r:1/2"),
        ({"REDIS_URL": "unix:///run/redis.sock", "REDIS_HOST": "cache"}, "unix:///run/redis.sock"),
    ],
)
def test_the_redis_url(variables: dict[str, str], expected: str) -> None:
    os.environ.update(variables)
    assert settings().redis() == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, []),
        ({"LOOKSEE_CLIENT_KEYS": " , ,"}, []),
        ({"LOOKSEE_CLIENT_KEYS": "one, two,one "}, ["one", "two", "one"]),
        ({"MOONDREAM_API_KEY": "a,b"}, ["a,b"]),
        ({"MOONDREAM_API_KEY": "old", "LOOKSEE_CLIENT_KEYS": "new"}, ["new", "old"]),
    ],
)
def test_the_keys_of_clients(variables: dict[str, str], expected: list[str]) -> None:
    os.environ.update(variables)
    assert settings().client_key_list() == expected


def test_threads_are_those_set_or_half_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((1, 1), (2, 1), (7, 3), (16, 8)):
        monkeypatch.setattr(cpu, "usable_cores", lambda cores=cores: cores)
        assert settings().torch_thread_count() == threads
    os.environ["LOOKSEE_TORCH_THREADS"] = "5"
    settings.cache_clear()
    assert settings().torch_thread_count() == 5


def test_the_printed_tables_hold_every_setting_once() -> None:
    shown = [name for name, _, _ in tables.rows()]
    expected = list(dict.fromkeys(name for name, _, _, _ in BARE + PREFIXED))
    expected += [f"LOOKSEE_<MODEL>_{name}" for name, _, _ in SHARED]
    expected += [variable_of(model, name) for model, name, _, _ in OWN]
    assert sorted(shown) == sorted(expected)
    assert all(meaning for _, _, meaning in tables.rows())
    for name in shown:
        assert tables.dotenv().count(f"\n#{name.replace('<MODEL>', 'BLIP')}=") == 1
        assert tables.markdown().count(f"| `{name}` |") == 1
    assert {line.count("|") for line in tables.markdown().splitlines()} == {4}


def test_the_example_file_shows_the_defaults() -> None:
    lines = tables.dotenv().splitlines()
    assert all(line.startswith("#") or not line for line in lines)
    Path(".env").write_text("\n".join(line[1:] for line in lines if line.startswith("#") and not line.startswith("# ")))
    assert Path(".env").read_text().count("=") >= len(BARE)
    filled = settings()
    assert os.environ["CACHE_TTL_SECONDS"] == "86400"
    for name, field in Settings.model_fields.items():
        assert getattr(filled, name) == field.default, name


def test_what_a_model_is_loaded_with_depends_on_its_weights() -> None:
    found = settings()
    assert found.model("blip").options(sample=True) == {}
    assert found.model("gemma").options(sample=False) == {"feature_bytes": 64 * 2**20, "prefix_bytes": 256 * 2**20}
    assert found.model("intern_vlm").options(sample=True)["max_tiles"] == 1
    assert found.model("intern_vlm").options(sample=False)["max_tiles"] == 6
    assert found.model("moondream").options(sample=True) == {
        "max_crops": None,
        "cpu_crops": None,
        "prefix_bytes": 2**30,
    }
    assert found.model("moondream").options(sample=False)["cpu_crops"] == 2


def test_as_many_rows_of_a_published_moondream_fit_as_may_decode_together() -> None:
    published = (
        Path(__file__).parents[1] / "models" / "moondream" / "golden" / "published" / "effective-config-2025-06-21.json"
    )
    own = CLASSES["moondream"]()
    assert own.batch_cost >= own.max_batch_rows * json.loads(published.read_text())["text"]["prefix_attn"]


def test_origins_are_written_as_browsers_send_them() -> None:
    os.environ["LOOKSEE_ALLOWED_ORIGINS"] = (
        "HTTPS://App.Example.org/, http://localhost:5173 , https://a.example:443,http://b.example:80/,"
        "http://[::1]:8080, chrome-extension://abcdef, app://obsidian.md, null,, http://c.example:443"
    )
    assert Settings().allowed_origin_list() == [
        *("https://app.example.org", "http://localhost:5173", "https://a.example", "http://b.example"),
        *("http://[::1]:8080", "chrome-extension://abcdef", "app://obsidian.md", "null", "http://c.example:443"),
    ]
    os.environ["LOOKSEE_ALLOWED_ORIGINS"] = ""
    assert Settings().allowed_origin_list() == []
