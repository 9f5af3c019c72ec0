"""Variables that begin as ours and are none: the start is refused, and the nearest name is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from looksee.settings import Settings, settings, tables, unknown_names
from looksee.settings.unknown_names import complaints
from tests.settings.test_settings import BARE, bare_environment, refusal

__all__ = ["bare_environment"]


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOOKSEE_CLIENT_KEY", "LOOKSEE_CLIENT_KEYS"),
        ("LOOKSEE_MAX_QEUE", "LOOKSEE_MAX_QUEUE"),
        ("LOOKSEE_MODEL", "LOOKSEE_MODELS"),
        ("LOOKSEE_BLIP_WEIGHT", "LOOKSEE_BLIP_WEIGHTS"),
        ("LOOKSEE_BLIP2_MAX_BATCH_IMAGE_TOKEN", "LOOKSEE_BLIP2_MAX_BATCH_IMAGE_TOKENS"),
        ("LOOKSEE_INTERN_VLM_MAX_TILE", "LOOKSEE_INTERN_VLM_MAX_TILES"),
        ("LOOKSEE_INTERNVLM_MAX_TILES", "LOOKSEE_INTERN_VLM_MAX_TILES"),
        ("LOOKSEE_BLIP_MAX_CROPS", ""),  # another model has it
        ("LOOKSEE_ALLOWED_ORIGIN", "LOOKSEE_ALLOWED_ORIGINS"),
    ],
)
def test_a_misspelt_name_ends_the_start_with_the_nearest(where: str, name: str, meant: str) -> None:
    if where == "file":
        Path(".env").write_text(f"{name}=1\n")
    else:
        os.environ[name] = "1"
    (line,) = refusal().splitlines()[1:]
    assert line.startswith(f"  {name}: there is no such setting; did you mean LOOKSEE_")
    if meant:
        assert line.endswith(f"did you mean {meant}?")


def test_a_name_in_small_letters_is_one_too() -> None:
    os.environ.update(looksee_max_queue="5")
    assert settings().max_queue == 5
    settings.cache_clear()
    os.environ.update(looksee_client_key="secret")
    assert "LOOKSEE_CLIENT_KEY: " in refusal()


def test_the_value_is_not_told() -> None:
    os.environ["LOOKSEE_CLIENT_KEY"] = "s3cret"
    assert "s3cret" not in refusal()


def test_an_empty_value_has_a_name_as_well() -> None:
    os.environ["LOOKSEE_CLIENT_KEY"] = ""
    assert "did you mean LOOKSEE_CLIENT_KEYS?" in refusal()


@pytest.mark.parametrize(("bare", "text"), [(name, text) for name, text, _, _ in BARE])
def test_a_bare_name_with_the_prefix_is_told_without(bare: str, text: str) -> None:
    os.environ[f"LOOKSEE_{bare}"] = text
    assert refusal().splitlines()[1:] == [f"  LOOKSEE_{bare}: there is no such setting; it is called {bare}"]


def test_what_is_near_nothing_is_refused_too() -> None:
    os.environ["LOOKSEE_ZZZZ"] = "7"
    assert refusal().splitlines()[1:] == ["  LOOKSEE_ZZZZ: there is no such setting"]


def test_a_name_of_the_past_is_told_with_its_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_names, "RENAMED", {"LOOKSEE_OLD": "LOOKSEE_MAX_QUEUE"})
    os.environ["LOOKSEE_OLD"] = "7"
    assert refusal().splitlines()[1:] == ["  LOOKSEE_OLD: this setting is called LOOKSEE_MAX_QUEUE now"]


def test_wrong_values_and_unknown_names_are_told_together() -> None:
    os.environ.update(LOOKSEE_CLIENT_KEY="x", PORT="y", LOOKSEE_BLIP_TYPO="z")
    assert {line.split(":")[0] for line in refusal().splitlines()[1:]} == {
        "  LOOKSEE_CLIENT_KEY",
        "  PORT",
        "  LOOKSEE_BLIP_TYPO",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOOKSEE_URL", "http://elsewhere"),
        ("LOOKSEE_KEY", "a-key"),
        # Kubernetes, beside a service `looksee` and one `looksee-redis`
        ("LOOKSEE_SERVICE_HOST", "10.0.0.1"),
        ("LOOKSEE_SERVICE_PORT", "3000"),
        ("LOOKSEE_SERVICE_PORT_HTTP", "3000"),
        ("LOOKSEE_PORT", "tcp://10.0.0.1:3000"),
        ("LOOKSEE_PORT_3000_TCP", "tcp://10.0.0.1:3000"),
        ("LOOKSEE_PORT_3000_TCP_ADDR", "10.0.0.1"),
        ("LOOKSEE_PORT_3000_TCP_PROTO", "tcp"),
        ("LOOKSEE_REDIS_SERVICE_HOST", "10.0.0.2"),
        ("LOOKSEE_REDIS_PORT", "tcp://10.0.0.2:6379"),
        ("LOOKSEE_REDIS_PORT_6379_TCP_PORT", "6379"),
        ("LOOKSEER", "begins alike"),
    ],
)
def test_what_other_programs_set_does_not_matter(name: str, value: str) -> None:
    os.environ[name] = value
    assert settings() == Settings()


def test_every_name_of_the_tables_is_known() -> None:
    names = [name.replace("<MODEL>", "BLIP") for name, _, _ in tables.rows()]
    assert complaints(dict.fromkeys(names, "1")) == {}
    for name in names:
        if name.startswith("LOOKSEE_"):
            assert complaints({f"{name}X": "1"}), name
