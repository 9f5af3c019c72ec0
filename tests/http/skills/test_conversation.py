"""Chats as frameworks write them: whatever says nothing is passed over, and no conversation gets stuck on itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looksee.core import errors
from looksee.core.tasks import Turn
from looksee.http.dialects.openai import ChatBody
from looksee.http.skills import conversation
from looksee.http.skills.conversation import Conversation
from looksee.settings import Settings
from tests.http.app import Doors, content

SETTINGS = Settings.model_construct()
URI = "data:image/png;base64,AAAA"
NOTHING: list[Any] = [
    "",
    " \n\t",
    None,
    [],
    [{"type": "text", "text": ""}],
    [{"type": "text", "text": " "}, {"type": "text", "text": "\n"}],
    [{"type": "text", "text": None}],
]
HELLO = {"role": "user", "content": "Hello."}


def read(*messages: Any) -> Conversation:
    body = ChatBody.model_validate_json(json.dumps({"model": "gemma", "messages": messages}), strict=True)
    return conversation.read(body.messages, SETTINGS)


def picture(**more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": URI, **more}}


@pytest.mark.parametrize("nothing", NOTHING, ids=repr)
@pytest.mark.parametrize("role", ["system", "developer", "assistant", "user"])
def test_a_message_that_says_nothing_is_passed_over(role: str, nothing: Any) -> None:
    empty = {"role": role, "content": nothing}
    assert read(empty, HELLO).turns == read(HELLO).turns == (Turn("user", ("Hello.",)),)


@pytest.mark.parametrize("nothing", NOTHING, ids=repr)
def test_a_chat_goes_on_after_an_answer_of_nothing(nothing: Any) -> None:
    answer = {"role": "assistant", "content": nothing, "refusal": None, "tool_calls": None}
    talk = read(HELLO, answer, {"role": "user", "content": "Are you there?"})
    assert talk.turns == (Turn("user", ("Hello.\nAre you there?",)),)
    assert read(HELLO, answer).turns == (Turn("user", ("Hello.",)),), "a place for the answer"


def test_a_message_without_content_is_one_of_nothing() -> None:
    assert read({"role": "system"}, HELLO).turns == read(HELLO).turns


@pytest.mark.parametrize("nothing", NOTHING, ids=repr)
@pytest.mark.parametrize("after", [[], [{"role": "assistant", "content": ""}], [{"role": "system", "content": " "}]])
def test_the_question_itself_must_say_something(nothing: Any, after: list[Any]) -> None:
    for before in ([], [HELLO], [HELLO, {"role": "assistant", "content": "Yes?"}]):
        with pytest.raises(errors.InvalidValue) as caught:
            read(*before, {"role": "user", "content": nothing}, *after)
        assert caught.value.param == f"messages.{len(before)}.content"
        assert caught.value.message.endswith("is empty; the last message must have a text or a picture.")


def test_a_question_of_nothing_is_forgiven_once_another_one_follows() -> None:
    talk = read(HELLO, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": ""}, HELLO)
    assert [turn.role for turn in talk.turns] == ["user", "assistant", "user"]
    assert talk.messages == (0, 1, 3)


def test_nothing_but_instructions_of_nothing_is_no_chat() -> None:
    with pytest.raises(errors.InvalidRequest, match="user's"):
        read({"role": "system", "content": ""}, {"role": "assistant", "content": None})


def test_what_is_left_out_moves_no_pictures_and_no_names() -> None:
    talk = read(
        {"role": "system", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": ""}, picture(), {"type": "text", "text": "This?"}]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [picture()]},
    )
    assert talk.places == ("messages.1.content.1.image_url", "messages.3.content.0.image_url")
    assert talk.turns == (Turn("user", (None, "This?", None)),)


def test_roles_on_both_sides_of_nothing_stay_apart_where_they_differ() -> None:
    talk = read(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": " "},
        {"role": "user", "content": "One."},
        {"role": "assistant", "content": "1"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "Two."},
    )
    said = (Turn("system", ("Be brief.",)), Turn("user", ("One.",)), Turn("assistant", ("1",)), Turn("user", ("Two.",)))
    assert talk.turns == said


# -- members of messages


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
@pytest.mark.parametrize("name", ["planner", "user_proxy", "", None])
def test_a_name_changes_nothing(role: str, name: str | None) -> None:
    said = {"role": role, "content": "Hm."}
    assert read({**said, "name": name}, HELLO) == read(said, HELLO)


@pytest.mark.parametrize(
    "echoed",
    [
        {"refusal": None, "tool_calls": None, "audio": None, "function_call": None, "annotations": []},
        {"tool_calls": [], "name": "assistant"},
        {"function_call": {}, "id": None, "prefix": False, "tool_call_id": ""},
        {"reasoning": {"text": "so", "grounding": []}},
        {"reasoning_content": "First I look.", "refusal": None},
        {"thinking_blocks": [{"thinking": "so"}], "provider_specific_fields": {"refusal": None, "audio": {}}},
    ],
    ids=lambda echoed: next(iter(echoed)),
)
def test_an_answer_comes_back_as_the_packages_send_it(echoed: dict[str, Any]) -> None:
    answer = {"role": "assistant", "content": "Yes?"}
    assert read(HELLO, {**answer, **echoed}, HELLO) == read(HELLO, answer, HELLO)


@pytest.mark.parametrize(
    ("role", "member", "value"),
    [
        ("assistant", "refusal", "No."),
        ("assistant", "function_call", {"name": "f"}),
        ("user", "reasoning_content", "mine"),
        ("user", "cache", True),
        ("assistant", "audio", {"id": "1", "data": None}),
    ],
)
def test_what_a_message_cannot_have_is_named_with_a_way_out(role: str, member: str, value: Any) -> None:
    with pytest.raises(errors.UnsupportedParameter) as caught:
        read({"role": role, "content": "Hm.", member: value}, HELLO)
    assert caught.value.param == f"messages.0.{member}"
    assert caught.value.message == f"'messages.0.{member}' is not supported; leave it out, or send null."


# -- pictures and texts


@pytest.mark.parametrize("detail", [{}, {"detail": "low"}, {"detail": "high"}, {"detail": "auto"}, {"detail": None}])
def test_a_picture_may_be_its_address_alone(detail: dict[str, Any]) -> None:
    question = {"type": "text", "text": "What is it?"}
    plain = read({"role": "user", "content": [question, {"type": "image_url", "image_url": URI}]})
    assert plain == read({"role": "user", "content": [question, picture(**detail)]})
    assert (plain.urls, plain.places) == ((URI,), ("messages.0.content.1.image_url",))


def test_both_forms_of_pictures_and_texts_around_them() -> None:
    parts = [
        {"type": "text", "text": "Here"},
        {"type": "image_url", "image_url": URI},
        {"type": "text", "text": "and here"},
        picture(detail="low"),
        {"type": "text", "text": "what is it?"},
    ]
    assert read({"role": "user", "content": parts}).turns == (
        Turn("user", ("Here", None, "and here", None, "what is it?")),
    )


def test_a_text_and_a_list_of_it_are_the_same() -> None:
    for role in ("system", "assistant", "user"):
        listed = {"role": role, "content": [{"type": "text", "text": "Hm."}]}
        assert read(listed, HELLO) == read({"role": role, "content": "Hm."}, HELLO)


@pytest.mark.parametrize("image_url", [5, [], True, {"address": URI}])
def test_what_is_no_picture_is_told_both_forms(image_url: Any) -> None:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": image_url}]}
    answer = Doors().send("/v1/chat/completions", json={"model": "gemma", "messages": [message]})
    assert answer.status_code == 400
    assert content(answer)["error"]["param"].startswith("messages.0.content.0.image_url")
    assert "'url'" in content(answer)["detail"] or ".url' is missing" in content(answer)["detail"]
