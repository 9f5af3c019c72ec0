"""A key holds everything that an answer depends on, and shows none of it."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import re

import pytest

from cache import keys
from cache.keys import PATTERNS, key
from looksee.core.tasks import Identity, Job, Sampling, Task, Turn
from looksee.core.texts import AS_WRITTEN

DIGEST = "ab" * 32
JOB = Job(Task.CAPTION, (b"never looked at",), "a photo of", 50)
IDENTITY = Identity("blip", "local", "0123456789ab", "0123456789abcdef")
DRAWN = Sampling(temperature=0.5, top_p=0.9, top_k=40, seed=7)


def of(job: Job = JOB, digest: str | list[str] = DIGEST, identity: Identity = IDENTITY) -> str:
    made = key(job, [digest] if isinstance(digest, str) else digest, identity)
    assert made is not None
    return made


def test_the_key_is_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another value here means that every cache out there is cold: raise the version in the key instead."""
    monkeypatch.setattr(keys, "PREPROCESSING", "1")
    assert of() == f"v1:img:{DIGEST}:aebc242f7577251f3d79bd1232a52ba1"


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
        (dataclasses.replace(JOB, task=Task.QUERY), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, stop=("a",)), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, sampling=DRAWN), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, length="short"), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, spatial_refs=((0.5, 0.5),)), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, reasoning=True), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, max_objects=49), DIGEST, IDENTITY),
        (dataclasses.replace(JOB, turns=(Turn("user", ("a",)),)), DIGEST, IDENTITY),
        (JOB, "ac" + "ab" * 31, IDENTITY),
        (JOB, DIGEST, dataclasses.replace(IDENTITY, model="blip2")),
        (JOB, DIGEST, dataclasses.replace(IDENTITY, fingerprint="0123456789abcdee")),
    ],
    ids=[
        "prompt",
        "prompt's case",
        "no prompt",
        "max_new_tokens",
        "task",
        "stop",
        "sampling",
        "length",
        "spatial_refs",
        "reasoning",
        "max_objects",
        "turns",
        "digest",
        "model",
        "fingerprint",
    ],
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
    assert key(JOB, [DIGEST], dataclasses.replace(IDENTITY, fingerprint=None)) is None


@pytest.mark.parametrize("sampling", [Sampling(temperature=0.01), Sampling(1.0, top_p=0.5), Sampling(1.0, top_k=1)])
def test_there_is_no_key_for_unrepeatable_sampling(sampling: Sampling) -> None:
    assert key(dataclasses.replace(JOB, sampling=sampling), [DIGEST], IDENTITY) is None


@pytest.mark.parametrize("sampling", [Sampling(0, top_p=0.5), Sampling(0, top_k=5), Sampling(0, seed=7)])
def test_a_greedy_answer_depends_on_nothing_else_of_the_sampling(sampling: Sampling) -> None:
    assert of(dataclasses.replace(JOB, sampling=sampling)) == of()


@pytest.mark.parametrize("change", [{"temperature": 0.6}, {"top_p": 0.8}, {"top_k": 41}, {"seed": 8}])
def test_a_drawn_answer_depends_on_all_of_the_sampling(change: dict[str, float]) -> None:
    drawn = dataclasses.replace(JOB, sampling=DRAWN)
    assert of(dataclasses.replace(drawn, sampling=dataclasses.replace(DRAWN, **change))) != of(drawn)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "default",
    [{"length": "normal"}, {"spatial_refs": ()}, {"reasoning": False}, {"max_objects": 50}, {"turns": ()}],
    ids=str,
)
def test_an_explicit_default_changes_no_key(default: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "PREPROCESSING", "1")
    assert of(dataclasses.replace(JOB, **default)) == f"v1:img:{DIGEST}:aebc242f7577251f3d79bd1232a52ba1"  # type: ignore[arg-type]


def test_a_field_that_a_job_gets_is_in_its_key() -> None:
    wider = dataclasses.make_dataclass("WiderJob", [("zoom", int, 0)], bases=(Job,), frozen=True)
    plain, near, nearer = (wider(JOB.task, JOB.images, JOB.prompt, zoom=zoom) for zoom in (0, 1, 2))
    assert of(plain) == of()  # as before for who does not use it
    assert len({of(plain), of(near), of(nearer)}) == 3


def test_the_defaults_are_as_they_were() -> None:
    """They are left out of keys: with another default, an old answer to the old one would be found for the new one.

    Where one has to change, raise the version in the key.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(Job) if field.name not in ("task", "images")}
    assert defaults == {
        "prompt": "",
        "max_new_tokens": 50,
        "sampling": Sampling(0.0, 1.0, 0, None),
        "stop": (),
        "length": "normal",
        "spatial_refs": (),
        "reasoning": False,
        "max_objects": 50,
        "turns": (),
        "grammar": None,
        "wording": AS_WRITTEN,
    }


def test_places_have_an_order() -> None:
    one, other = (
        dataclasses.replace(JOB, spatial_refs=refs) for refs in (((0.1, 0.2), (0.3, 0.4)), ((0.3, 0.4), (0.1, 0.2)))
    )
    assert of(one) != of(other)


def test_stop_strings_have_no_order() -> None:
    one, other, more = (dataclasses.replace(JOB, stop=stop) for stop in (("a", "b"), ("b", "a", "b"), ("a", "b", "c")))
    assert of(one) == of(other) != of(more)


OTHER = "cd" * 32
TOGETHER = dataclasses.replace(JOB, task=Task.COLLECTIVE)


def test_a_collection_is_its_pictures_in_their_order() -> None:
    pictures = hashlib.sha256(f"{DIGEST}{OTHER}".encode()).hexdigest()
    made = of(TOGETHER, [DIGEST, OTHER])
    assert made.startswith(f"v1:collection:{pictures}:")
    assert of(TOGETHER, [OTHER, DIGEST]) != made
    assert of(TOGETHER, [DIGEST, OTHER, OTHER]) != made
    assert of(TOGETHER, [DIGEST]) != made


def test_one_picture_of_a_collective_caption_is_a_collection_too() -> None:
    assert of(TOGETHER).startswith(f"v1:collection:{hashlib.sha256(DIGEST.encode()).hexdigest()}:")


def test_a_question_about_several_pictures_is_about_a_collection() -> None:
    asked = dataclasses.replace(JOB, task=Task.QUERY)
    assert of(asked).startswith(f"v1:img:{DIGEST}:")
    pictures = of(asked, [DIGEST, OTHER]).split(":")[:3]
    assert pictures == of(TOGETHER, [DIGEST, OTHER]).split(":")[:3]
    assert of(asked, [DIGEST, OTHER]) != of(TOGETHER, [DIGEST, OTHER])
    assert of(asked, []).startswith("v1:collection:")


@pytest.mark.parametrize("prompt", ["", "zebra", "z:*?[a]", "ze\nbra", "\u4e2d\u6587 \U0001f600", "x" * 4000])
def test_a_key_shows_hashes_only_and_is_found_by_one_pattern(prompt: str) -> None:
    made = of(dataclasses.replace(JOB, prompt=prompt))
    assert re.fullmatch(r"v1:img:[0-9a-f]{64}:[0-9a-f]{32}", made)
    assert [fnmatch.fnmatchcase(made, pattern) for pattern in PATTERNS] == [True, False]
    made = of(dataclasses.replace(TOGETHER, prompt=prompt), [DIGEST, OTHER])
    assert re.fullmatch(r"v1:collection:[0-9a-f]{64}:[0-9a-f]{32}", made)
    assert [fnmatch.fnmatchcase(made, pattern) for pattern in PATTERNS] == [False, True]


def test_any_text_has_a_key() -> None:
    assert of(dataclasses.replace(JOB, prompt="\ud800")) != of(dataclasses.replace(JOB, prompt="\ud801"))


def test_the_roles_and_pictures_of_turns_are_in_the_key() -> None:
    chats = [
        (Turn("user", (None, "a")), Turn("assistant", ("b",)), Turn("user", ("c",))),
        (Turn("user", (None, "a")), Turn("assistant", ("c",)), Turn("user", ("b",))),
        (Turn("user", ("a", None)), Turn("assistant", ("b",)), Turn("user", ("c",))),
        (Turn("user", ("a",)), Turn("assistant", ("b",)), Turn("user", (None, "c"))),
        (Turn("system", ("a",)), Turn("user", (None, "c"))),
        (Turn("user", ("a",)), Turn("user", (None, "c"))),
    ]
    made = [of(dataclasses.replace(JOB, turns=turns)) for turns in chats]
    assert len(set(made)) == len(chats)
    assert made[0] == of(dataclasses.replace(JOB, turns=tuple(dataclasses.replace(turn) for turn in chats[0])))
