"""What models say to a question of yes or no, and what is made of it."""

from __future__ import annotations

import pytest

from looksee.core.flags import verdict

UNDERSTOOD = [
    # bare
    ("true", True),
    ("false", False),
    ("True", True),
    ("FALSE", False),
    ("yes", True),
    ("no", False),
    ("Yes.", True),
    ("No!", False),
    ("  yes\n", True),
    ('"true"', True),
    ('"No"', False),
    ("'yes'", True),
    ("**Yes**", True),
    ("**No.**", False),
    ("`false`", False),
    ("\u201cYes\u201d", True),
    # sentences
    ("Yes, there is.", True),
    ("Yes there is a triangle", True),
    ("Yes - a red one.", True),
    ("Yes, the circle is not red but blue, as you say.", True),
    ("**Yes**, there is a dog.", True),
    ("Yes\n\nThe picture shows a dog.", True),
    ("No, there is not.", False),
    ("No, there isn't.", False),
    ("no there is no triangle", False),
    ("no it is not", False),
    ("No. The picture shows a cat.", False),
    ("No\nThere are only squares.", False),
    ("No, no, no.", False),
    ("yes yes yes", True),
    ("True. There is one.", True),
    ("False: nothing of the kind.", False),
    ("Yes, that is true.", True),
    ("No, that is false.", False),
    # JSON
    ('{"flag": true}', True),
    ('{"flag": false}', False),
    ('{"flag":"true"}', True),
    ('{"flag": "No"}', False),
    ('{"flag": "Yes, there is."}', True),
    ('{\n  "flag": true,\n  "reason": "there is no doubt"\n}', True),
    ('{"flag": true, "flag": true}', True),
    ('```json\n{"flag": true}\n```', True),
    ('```JSON\n{"flag": false}\n```\n', False),
    ('```\n{"flag": false}\n```', False),
    ("```\nyes\n```", True),
    ("```json\nfalse\n```", False),
]
NOT_UNDERSTOOD = [
    "",
    "   \n",
    "maybe",
    "Maybe.",
    "Yes, maybe.",
    "Perhaps not.",
    "No, probably.",
    "It depends.",
    "Yes? It is unclear.",
    "I cannot tell.",
    "unknown",
    # contradictory
    "yes and no",
    "Yes and no.",
    "yes or no",
    "yes/no",
    "Yes. No.",
    "no, yes",
    "No, that is true.",
    "True or false?",
    "true false",
    "Yes, there is not.",
    "Yes, there isn't.",
    "Yes it does not",
    '{"flag": true, "flag": false}',
    '{"flag": "yes and no"}',
    # something else
    "a red circle",
    "There is a triangle.",
    "It is true.",
    "Not at all.",
    "None",
    "Nope",
    "nobody",
    "no-one",
    "yes-man",
    "True love in a picture",
    "No people are visible.",
    "No. 5",
    "No.5 is on the shirt",
    "1",
    "0",
    "null",
    "[true]",
    "[]",
    "{}",
    '{"flag": null}',
    '{"flag": 1}',
    '{"flag": [true]}',
    '{"flag": {"flag": true}}',
    '{"answer": true}',
    '{"flag": tr',
    '{"flag": true',
    "{'flag': True}",
    '```json\n{"flag": true}',
    '```json\n{"flag": true}\n```\n```json\n{"flag": false}\n```',
    "true true",
    "no no no",
    "Yesterday, it was.",
    "\x00",
    "NaN",
    "\ud800",
    "ja",
]


@pytest.mark.parametrize(("text", "said"), UNDERSTOOD)
def test_what_is_understood(text: str, said: bool) -> None:
    assert verdict(text) is said


@pytest.mark.parametrize("text", NOT_UNDERSTOOD)
def test_what_is_not_understood(text: str) -> None:
    assert verdict(text) is None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"flag":' * 100_000, "9" * 10_000, "yes " * 10_000 + "no"])
def test_hostile_answers_are_not_understood_and_raise_nothing(text: str) -> None:
    assert verdict(text) is None


@pytest.mark.parametrize("text", ["yes" + " " * 50_000 + "x", "no" + "*" * 50_000, "```json" + " " * 50_000 + "yes"])
def test_long_answers_are_read_in_no_time(text: str) -> None:
    verdict(text)  # a pattern that backtracks would not come to an end
