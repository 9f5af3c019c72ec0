"""A key holds everything that an answer depends on, and shows none of it."""

from __future__ import annotations

import dataclasses
import fnmatch
import re

import pytest

from cache import keys
from cache.keys import PATTERNS, key
from vision.tasks import Identity, Job, Task

DIGEST = "ab" * 32
JOB = Job(Task.CAPTION, (b"never looked at",), "a photo of", 50)
IDENTITY = Identity("blip", "local", "0123456789ab", "0123456789abcdef")


def of(job: Job = JOB, digest: str = DIGEST, identity: Identity = IDENTITY) -> str:
    made = key(job, digest, identity)
    assert made is not None
    return made


def test_the_key_is_the_same_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another value here means that every cache out there is cold: raise the version in the key instead."""
    monkeypatch.setattr(keys, "PREPROCESSING", "1")
    assert of() == f"v1:img:{DIGEST}:75bc0cecbf4fc1f929382229327fc241"


def test_equal_questions_have_equal_keys() -> None:
    again = Job(Task.CAPTION, (b"other bytes, same digest",), "a photo of", 50)
    assert of(again, DIGEST, dataclasses.replace(IDENTITY)) == of()


@pytest.mark.parametrize(
    ("job", "digest", "identity"),
    [
        (dataclasses.replace(JOB, prompt="a photo of "), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, prompt="A photo of"), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, prompt=""), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, max_new_tokens=51), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, task="query"), DIGEST, IDENTITY),  # type: ignore[arg-type]  # a task to come
        (JOB, "ac" + "ab" * 31, IDENTITY),
        (JOB, DIGEST, dataclasses.replace(IDENTITY, model="blip2")),
        (JOB, DIGEST, dataclasses.replace(IDENTITY, fingerprint="0123456789abcdee")),
    ],
    ids=["prompt", "prompt's case", "no prompt", "max_new_tokens", "task", "digest", "model", "fingerprint"],
)
def test_whatever_an_answer_depends_on_changes_the_key(job: Job, digest: str, identity: Identity) -> None:
    assert of(job, digest, identity) != of()


def test_another_preprocessing_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = of()
    monkeypatch.setattr(keys, "PREPROCESSING", "other")
    assert of() != before


def test_a_mere_label_of_the_weights_does_not_change_the_key() -> None:
    assert of(identity=dataclasses.replace(IDENTITY, revision="main", weights="sample")) == of()


def test_fields_do_not_run_into_each_other() -> None:
    one = dataclasses.replace(JOB, prompt='x","task":"query', max_new_tokens=5)
    other = dataclasses.replace(JOB, prompt="x", max_new_tokens=5)
    assert of(one) != of(other)


def test_there_is_no_key_without_a_fingerprint() -> None:
    assert key(JOB, DIGEST, dataclasses.replace(IDENTITY, fingerprint=None)) is None


@pytest.mark.parametrize("prompt", ["", "zebra", "z:*?[a]", "ze\nbra", "\u4e2d\u6587 \U0001f600", "x" * 4000])
def test_a_key_shows_hashes_only_and_is_found_by_one_pattern(prompt: str) -> None:
    made = of(dataclasses.replace(JOB, prompt=prompt))
    assert re.fullmatch(r"v1:img:[0-9a-f]{64}:[0-9a-f]{32}", made)
    assert [fnmatch.fnmatchcase(made, pattern) for pattern in PATTERNS] == [True, False]


def test_any_text_has_a_key() -> None:
    assert of(dataclasses.replace(JOB, prompt="\ud800")) != of(dataclasses.replace(JOB, prompt="\ud801"))
