"""Where weights come from, and whose answers they give: nothing here touches the network."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.constants
import pytest
from huggingface_hub._tree_cache import TreeCacheEntry, write_tree_cache

from looksee.core import errors
from looksee.models.registry import REGISTRY
from looksee.models.weights import hub, source
from looksee.models.weights.source import SAMPLES, WeightsSource, resolve

PUBLISHED = REGISTRY["blip"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def secluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No network, an empty cache of the hub's, a folder of one's own; the cache."""

    def connect(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return cache


def snapshot(cache: Path, repository: str, commit: str = COMMIT, branch: str = "main") -> Path:
    """Make the hub's cache look as if `branch` of a repository had been fetched."""
    home = cache / f"models--{repository.replace('/', '--')}"
    directory = home / "snapshots" / commit
    directory.mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    (home / "refs").mkdir(exist_ok=True)
    (home / "refs" / branch).write_text(commit)
    return directory


def checkpoint(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text('{"model_type": "blip"}')
    (directory / "vocab.txt").write_text("a\nred\n")
    (directory / "model.safetensors").write_bytes(bytes(range(256)))
    return directory


HUB = WeightsSource("blip", "hub", PUBLISHED.hub_id, PUBLISHED.revision)
SAMPLE = WeightsSource("blip", "sample", str(SAMPLES / "blip"))


@pytest.mark.parametrize(
    ("default", "own", "expected"),
    [
        ("hub", "", HUB),
        ("sample", "", SAMPLE),
        ("hub", "sample", SAMPLE),
        ("sample", "hub", HUB),
        ("hub", "owner/name", WeightsSource("blip", "hub", "owner/name", "main")),
        ("sample", "owner/name@v1.0", WeightsSource("blip", "hub", "owner/name", "v1.0")),
        ("hub", "owner/name@refs/pr/1", WeightsSource("blip", "hub", "owner/name", "refs/pr/1")),
        ("hub", f"owner/name@{COMMIT}", WeightsSource("blip", "hub", "owner/name", COMMIT)),
        ("hub", PUBLISHED.hub_id, HUB),
        ("hub", f"{PUBLISHED.hub_id}@main", WeightsSource("blip", "hub", PUBLISHED.hub_id, "main")),
        ("hub", "/weights/blip", WeightsSource("blip", "local", "/weights/blip")),
        ("hub", "/weights/../other", WeightsSource("blip", "local", "/other")),
        ("hub", "a/b/c", WeightsSource("blip", "local", "{cwd}/a/b/c")),
        ("hub", "./owner/name", WeightsSource("blip", "local", "{cwd}/owner/name")),
        ("hub", "../name", WeightsSource("blip", "local", "{parent}/name")),
        ("hub", ".", WeightsSource("blip", "local", "{cwd}")),
        ("hub", "~/blip", WeightsSource("blip", "local", "{home}/blip")),
        ("hub", "checkpoint", WeightsSource("blip", "local", "{cwd}/checkpoint")),
        ("hub", "has space/name", WeightsSource("blip", "local", "{cwd}/has space/name")),
    ],
)
def test_settings_are_understood(
    default: str, own: str, expected: WeightsSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cwd = Path.cwd()
    location = expected.location.format(cwd=cwd, parent=cwd.parent, home=tmp_path / "home")
    assert resolve("blip", default, own) == WeightsSource("blip", expected.kind, location, expected.revision)


def test_a_directory_that_is_there_wins_over_a_hub_id() -> None:
    checkpoint(Path("owner/name"))
    assert resolve("blip", "hub", "owner/name") == WeightsSource("blip", "local", str(Path("owner/name").resolve()))


# --- identities ------------------------------------------------------------------------------------------------------


def test_a_commit_has_an_identity_without_the_network() -> None:
    identity = resolve("blip", "hub", f"owner/name@{COMMIT}").identity()
    assert (identity.model, identity.weights, identity.revision) == ("blip", "hub", COMMIT)
    assert identity.fingerprint == f"owner/name@{COMMIT}"
    assert resolve("blip", "hub", "").identity().fingerprint == f"{PUBLISHED.hub_id}@{PUBLISHED.revision}"


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:12], COMMIT.upper(), COMMIT + "0"])
def test_a_branch_has_none_until_it_is_fetched(revision: str) -> None:
    identity = resolve("blip", "hub", f"owner/name@{revision}").identity()
    assert (identity.weights, identity.revision, identity.fingerprint) == ("hub", revision, None)


def test_a_branch_that_was_fetched_has_the_identity_of_its_commit(secluded: Path) -> None:
    snapshot(secluded, "owner/name")
    by_branch = resolve("blip", "hub", "owner/name").identity()
    assert by_branch == resolve("blip", "hub", f"owner/name@{COMMIT}").identity()


@pytest.mark.parametrize("name", ["owner/na--me", "owner/name.git", "-owner/name", "owner/na..me"])
def test_an_id_that_the_hub_would_not_take_raises_nothing(name: str) -> None:
    source = resolve("blip", "hub", name)
    assert source.identity().fingerprint is None
    with pytest.raises(errors.WeightsUnavailable):
        source.directory()


def local(directory: Path) -> str:
    found = WeightsSource("blip", "local", str(directory)).identity()
    assert (found.model, found.weights) == ("blip", "local")
    assert found.fingerprint is not None
    assert found.revision == found.fingerprint[:12]
    assert re.fullmatch(r"[0-9a-f]{64}", found.fingerprint)
    return found.fingerprint


def test_a_copy_has_the_same_fingerprint(tmp_path: Path) -> None:
    one, other = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "other")
    os.utime(other / "config.json", (1, 1))
    assert local(one) == local(other) == local(one)


def test_the_order_of_the_directory_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = checkpoint(tmp_path / "one")
    before = local(directory)
    names = list(directory.iterdir())
    for order in (names, names[::-1], names[1:] + names[:1]):
        monkeypatch.setattr(Path, "iterdir", lambda _, order=order: iter(order))
        assert local(directory) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda directory: (directory / "config.json").write_text('{"model_type": "blop"}'),
        lambda directory: (directory / "model.safetensors").write_bytes(bytes(range(255, -1, -1))),
        lambda directory: (directory / "vocab.txt").unlink(),
        lambda directory: (directory / "more.json").write_text(""),
        lambda directory: (directory / "vocab.txt").rename(directory / "words.txt"),
    ],
    ids=["config", "weights", "a file less", "an empty file more", "another name"],
)
def test_a_change_of_contents_changes_the_fingerprint(change: Callable[[Path], object], tmp_path: Path) -> None:
    directory = checkpoint(tmp_path / "one")
    before = local(directory)
    change(directory)
    assert local(directory) != before


def test_a_readme_and_folders_do_not_count(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path / "one")
    before = local(directory)
    (directory / "README.md").write_text("words")
    (directory / ".git").mkdir()
    (directory / ".git" / "index").write_text("x")
    assert local(directory) == before


@pytest.mark.parametrize("at", [0, 5, 95, 99])
def test_of_a_large_file_both_ends_and_the_time_of_change_count(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_HASHED_WHOLE", 50)
    monkeypatch.setattr(source, "_ENDS", 10)
    large = checkpoint(tmp_path / "one") / "large.bin"

    def write(content: bytes, time: int) -> str:
        large.write_bytes(content)
        os.utime(large, (time, time))
        return local(tmp_path / "one")

    before = write(bytes(100), 1000)
    assert write(bytes(100), 1000) == before
    assert write(bytes(100), 1001) != before
    changed = bytearray(100)
    changed[at] = 1
    assert write(bytes(changed), 1000) != before
    assert write(bytes(101), 1000) != before


def test_a_file_of_just_the_limit_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_HASHED_WHOLE", 256)
    monkeypatch.setattr(source, "_ENDS", 10)
    file = checkpoint(tmp_path / "one") / "model.safetensors"
    before = local(tmp_path / "one")
    os.utime(file, (1, 1))
    assert local(tmp_path / "one") == before
    content = bytearray(file.read_bytes())
    content[128] ^= 1
    file.write_bytes(content)
    assert local(tmp_path / "one") != before


@pytest.mark.parametrize("kind", ["local", "sample"])
def test_a_missing_directory_has_no_fingerprint_and_no_weights(kind: Any, tmp_path: Path) -> None:
    source = WeightsSource("blip", kind, str(tmp_path / "nowhere"))
    assert (source.identity().revision, source.identity().fingerprint) == ("missing", None)
    with pytest.raises(errors.WeightsUnavailable) as caught:
        source.directory()
    assert "LOOKSEE_BLIP_WEIGHTS" in caught.value.message
    assert str(tmp_path) not in caught.value.message
    assert caught.value.retry_after


def test_a_directory_without_a_checkpoint_has_no_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(errors.WeightsUnavailable):
        WeightsSource("blip", "local", str(tmp_path)).directory()


def test_a_directory_is_its_own_checkpoint(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path / "one")
    assert WeightsSource("blip", "local", str(directory)).directory() == directory


# --- fetching: `tests/cli/test_commands.py` does it with a real hub ---------------------------------------------------


def test_what_cannot_be_fetched_is_told_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object) -> Path:
        raise hub.HubError("The hub is on fire.")

    monkeypatch.setattr(hub, "fetch", fetch)
    with pytest.raises(errors.WeightsUnavailable) as caught:
        resolve("blip", "hub", "").directory()
    for part in ("'blip'", "The hub is on fire.", "LOOKSEE_BLIP_WEIGHTS", "LOOKSEE_WEIGHTS=sample"):
        assert part in caught.value.message
    assert caught.value.retry_after


INDEX = '{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}'


@pytest.mark.parametrize(
    ("files", "whole"),
    [
        ({}, False),
        ({"model.safetensors": ""}, True),
        ({"pytorch_model.bin": ""}, True),
        ({"flax_model.msgpack": ""}, False),
        ({"model.safetensors.index.json": INDEX}, False),
        ({"model.safetensors.index.json": INDEX, "model-1-of-2.safetensors": ""}, False),
        ({"model.safetensors.index.json": INDEX, "model-1-of-2.safetensors": "", "model-2-of-2.safetensors": ""}, True),
    ],
    ids=["nothing", "one file", "a pickle", "other weights", "an index", "half", "both"],
)
@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_only_a_whole_checkpoint_counts_as_fetched(
    files: dict[str, str], whole: bool, revision: str, secluded: Path
) -> None:
    directory = snapshot(secluded, "owner/name")
    for name, content in files.items():
        (directory / name).write_text(content)
    source = resolve("blip", "hub", f"owner/name@{revision}")
    assert source.fetched() == (directory if whole else None)
    if whole and revision == COMMIT:
        assert source.directory() == directory, "without a word to the hub"


def test_a_small_file_that_is_missing_counts_too(secluded: Path) -> None:
    directory = snapshot(secluded, "owner/name")
    (directory / "model.safetensors").touch()
    source = resolve("blip", "hub", f"owner/name@{COMMIT}")
    assert source.fetched() == directory
    listing = TreeCacheEntry(size=2, blob_id="0" * 40, lfs_sha256=None, lfs_size=None, xet_hash=None)
    files = dict.fromkeys(("config.json", "model.safetensors", "tokenizer.json"), listing)
    write_tree_cache(str(directory.parent.parent), COMMIT, files)  # as the hub's client does when it fetches
    assert source.fetched() is None


def test_a_directory_counts_as_fetched(tmp_path: Path) -> None:
    assert SAMPLE.fetched() == SAMPLES / "blip"
    assert WeightsSource("blip", "local", str(tmp_path)).fetched() is None
