"""Grammars over the tokens of the sample weights: what each takes, where it ends, and what is refused."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models

from looksee.core import errors
from looksee.core.tasks import Grammar
from looksee.models.forcing import force
from looksee.models.grammar import grammars as module
from looksee.models.grammar.grammars import MOST_CHARACTERS, Grammars
from looksee.models.grammar.vocabulary import Vocabulary
from looksee.models.interface import Row
from looksee.models.sampling import choose, read_indices
from tests.models.grammar.every import ENDS, Tokens

INTERN = Tokens("intern_vlm")


def ids(text: str, tokens: Tokens = INTERN) -> list[int]:
    found: list[int] = tokens.tokenizer.encode(text, add_special_tokens=False).ids
    return found


def state(grammar: Grammar, text: str) -> tuple[bool, bool, bool]:
    """Of a text: whether each token was allowed, whether it may end there, and whether it must."""
    matcher = INTERN.grammars.matcher(grammar)
    assert matcher is not None
    given = ids(text)
    taken = all(number in bits(matcher.allowed(given[:count])) for count, number in enumerate(given))
    if not taken:
        return False, False, False
    return True, INTERN.end in bits(matcher.allowed(given)), matcher.is_over(given)


def bits(mask: bytes | None) -> set[int]:
    assert mask is not None
    return {number for number in range(8 * len(mask)) if mask[number // 8] >> number % 8 & 1}


def json_schema(schema: Any) -> Grammar:
    return Grammar("json_schema", json.dumps(schema))


COLOUR = json_schema(
    {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}, "count": {"type": "integer"}},
        "required": ["colour"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize(
    ("grammar", "text", "expected"),
    [
        (COLOUR, '{"colour": "red"}', (True, True, True)),
        (COLOUR, '{"colour":"red","count":5}', (True, True, True)),
        (COLOUR, '{ "colour" : "red" , "count": 12 }', (True, True, True)),
        (COLOUR, '{\n"colour": "red"}', (False, False, False)),
        (COLOUR, '{"colour": "re', (True, False, False)),
        (COLOUR, '{"colour": "green"}', (False, False, False)),
        (COLOUR, '{"count": 5}', (False, False, False)),
        (COLOUR, '{"colour": "red"} ', (False, False, False)),
        (COLOUR, '```json\n{"colour": "red"}', (False, False, False)),
        (COLOUR, '{"colour":  "red"}', (False, False, False)),
        (Grammar("json_object"), '{"a": [1, {"b": null}]}', (True, True, True)),
        (Grammar("json_object"), "[1]", (False, False, False)),
        (Grammar("json_object"), '{"a": NaN}', (False, False, False)),
        (json_schema({"type": "integer"}), "15", (True, True, False)),
        (json_schema({"type": "string", "pattern": "^[ab]+$"}), '"ab"', (True, True, True)),
        (json_schema({"type": "string", "pattern": "^[ab]+$"}), '"ac"', (False, False, False)),
        (json_schema({"type": "string"}), '"größe 日本"', (True, True, True)),
        (Grammar("choices", '["no", "not at all"]'), "no", (True, True, False)),
        (Grammar("choices", '["no", "not at all"]'), " not at all", (True, True, True)),
        (Grammar("choices", '["no", "not at all"]'), "not", (True, False, False)),
        (Grammar("choices", '["a \\"b\\"", "<x>", "/"]'), 'a "b"', (True, True, True)),
        (Grammar("choices", '["a \\"b\\"", "<x>", "/"]'), "<x>", (True, True, True)),
        (Grammar("regex", r"^\d{2}-[ab]$"), "12-a", (True, True, True)),
        (Grammar("regex", r"a\$"), "a$", (True, True, True)),
        (Grammar("regex", r"a|bc"), "bc", (True, True, True)),
        (Grammar("regex", r"a+"), "aa", (True, True, False)),
    ],
    ids=str,
)
def test_what_is_taken(grammar: Grammar, text: str, expected: tuple[bool, bool, bool]) -> None:
    assert state(grammar, text) == expected


@pytest.mark.parametrize(
    ("grammar", "why"),
    [
        (Grammar("regex", "("), "unclosed group"),
        (Grammar("regex", "(?=a)b"), "look-around"),
        (Grammar("regex", "a" * (MOST_CHARACTERS + 1)), "characters"),
        (json_schema({"enum": []}), "Unsatisfiable"),
        (json_schema({"$ref": "#"}), "nothing follows it"),
        (json_schema({"type": "object", "properties": {"a": False}, "required": ["a"]}), "Unsatisfiable"),
        (Grammar("json_schema", '{"items":' * 200 + "{}" + "}" * 200), "recursion"),
        (
            json_schema({"allOf": [{"anyOf": [{"required": [f"{i}{j}"]} for j in range(4)]} for i in range(8)]}),
            "too large",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_nothing_can_be_forced_into(grammar: Grammar, why: str) -> None:
    with pytest.raises(errors.InvalidRequest, match=why) as caught:
        INTERN.grammars.matcher(grammar)
    assert caught.value.param == ("regex" if grammar.kind == "regex" else "response_format")
    assert "\n" not in caught.value.message


def test_a_fault_of_the_library_is_an_error_of_the_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's panics are no Exceptions."""

    class PanicException(BaseException):
        pass

    def panic(grammar: Grammar) -> str:
        raise PanicException

    monkeypatch.setattr(module, "_text", panic)
    with pytest.raises(errors.InvalidRequest, match="the library failed"):
        INTERN.grammars.matcher(Grammar("regex", "panic"))


def test_what_takes_too_long_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, go_on = Tokens("gemma"), threading.Event()
    inner = module._text

    def text(grammar: Grammar) -> str:
        if grammar.kind == "regex":
            go_on.wait(60)
        return inner(grammar)

    monkeypatch.setattr(module, "_text", text)
    monkeypatch.setattr(module, "_SECONDS", 0.05)
    for _ in range(2):
        with pytest.raises(errors.InvalidRequest, match="too long"):
            tokens.grammars.matcher(Grammar("regex", "a"))
    with pytest.raises(errors.Overloaded):
        tokens.grammars.matcher(Grammar("choices", '["a"]'))
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "grammar":
            thread.join()
    monkeypatch.setattr(module, "_SECONDS", 60.0)
    assert tokens.grammars.matcher(Grammar("choices", '["a"]')) is not None


def test_tokens_that_are_no_bytes_cannot_be_forced() -> None:
    tokenizer = Tokenizer(models.WordPiece({"a": 0, "##b": 1, "[SEP]": 2}, unk_token="a"))
    tokenizer.decoder = decoders.WordPiece()
    with pytest.raises(errors.TaskNotSupported):
        Grammars(tokenizer, {2}, 3).matcher(Grammar("json_object"))
    assert Grammars(tokenizer, {2}, 3).matcher(None) is None


@pytest.mark.parametrize("model", ENDS)
def test_tokens_are_the_bytes_that_they_decode_to(model: str) -> None:
    tokens = Tokens(model)
    vocabulary = Vocabulary(tokens.tokenizer, {tokens.end}, tokens.size)
    plain = [number for number in range(tokens.size) if number not in vocabulary.special_token_ids]
    assert len(plain) > 256
    rng, compared = random.Random(1), 0
    for _ in range(400):
        some = rng.choices(plain, k=rng.randint(1, 6))
        try:
            text = b"".join(vocabulary.tokens[number] for number in some).decode()
        except UnicodeDecodeError:
            continue
        compared += 1
        assert tokens.tokenizer.decode(some) == text
    assert compared > 50


@pytest.mark.parametrize("model", ENDS)
def test_special_and_missing_tokens_are_never_taken(model: str) -> None:
    tokens = Tokens(model)
    matcher = tokens.grammars.matcher(json_schema({"type": "string"}))
    assert matcher is not None
    inside = bits(matcher.allowed(ids('"a', tokens)))
    special = {number for number, token in tokens.tokenizer.get_added_tokens_decoder().items() if token.special}
    assert not inside & (special | set(range(tokens.tokenizer.get_vocab_size(), tokens.size)))
    assert len(inside) > 200


def test_an_end_that_is_an_ordinary_token_ends_only_what_is_complete() -> None:
    """As BLIP-2's end, which is that of a line, and lines may end in JSON."""
    end = ids("\n")[0]
    grammars = Grammars(INTERN.tokenizer, {end}, INTERN.size)
    matcher = grammars.matcher(json_schema({"type": "array", "items": {"type": "integer"}}))
    assert matcher is not None
    assert end not in bits(matcher.allowed(ids("[1,")))
    assert end in bits(matcher.allowed(ids("[1]")))


def test_an_answer_may_end_by_any_of_several_tokens() -> None:
    """As Gemma's ends with a turn or the text."""
    ends = {INTERN.end, INTERN.tokenizer.get_vocab()["<|endoftext|>"]}
    matcher = Grammars(INTERN.tokenizer, ends, INTERN.size).matcher(json_schema({"type": "integer"}))
    assert matcher is not None
    assert not ends & bits(matcher.allowed([]))
    assert ends < bits(matcher.allowed(ids("1")))


def test_rows_of_one_grammar_do_not_share_a_place_or_a_limit() -> None:
    tokens = Tokens("gemma")
    first, second = tokens.grammars.matcher(COLOUR), tokens.grammars.matcher(COLOUR)
    assert first is not None
    assert second is not None
    assert first.is_over(ids('{"colour": "red"}', tokens))
    assert not second.is_over([])
    grown = Grammar("regex", r"(\w+\s?){1,500}\.")  # each row finds out anew what may follow, up to the library's limit
    for number in range(12):
        matcher, rng, said = tokens.grammars.matcher(grown), random.Random(number), list[int]()
        assert matcher is not None
        while len(said) < 60 and (mask := matcher.allowed(said)) is not None and bits(mask) != {tokens.end}:
            said.append(rng.choice(sorted(bits(mask) - {tokens.end})))
        assert said


def test_several_threads_make_grammars() -> None:
    tokens, found = Tokens("moondream"), []

    def ask() -> None:
        for number in range(20):
            matcher = tokens.grammars.matcher(Grammar("choices", f'["{number % 7}"]'))
            assert matcher is not None
            found.append(matcher.is_over(ids(str(number % 7), tokens)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


# --- the mask -----------------------------------------------------------------------------------------------------


def rows_of(*grammars: Grammar | None) -> list[Row]:
    return [
        Row(cost=1, max_new_tokens=9, prompt_tokens=1, matcher=INTERN.grammars.matcher(grammar)) for grammar in grammars
    ]


def test_each_row_has_its_own_mask() -> None:
    rows = rows_of(None, Grammar("choices", '["yes"]'), Grammar("json_object"))
    logits = torch.zeros(3, INTERN.size)
    force(logits, rows)
    left = [set(row.isfinite().nonzero()[:, 0].tolist()) for row in logits]
    assert left[0] == set(range(INTERN.size))
    assert {INTERN.tokenizer.decode([number])[:2].strip()[:1] for number in left[1]} == {"y", ""}
    assert {INTERN.tokenizer.decode([number])[0] for number in left[2]} == {"{"}
    assert all(logits[1][number] == 0 for number in left[1])


def test_what_is_not_finite_stays_an_error_also_where_it_is_forbidden() -> None:
    logits = torch.zeros(2, INTERN.size)
    logits[0, ids("{")[0]] = torch.nan
    assert read_indices(choose(logits[:1].clone(), rows_of(Grammar("choices", '["yes"]')), [0])) == [None]
    assert read_indices(choose(logits, rows_of(Grammar("choices", '["yes"]'), None), [0, 0])) == [None, 0]


def test_bias_and_penalties_do_not_lift_the_mask() -> None:
    rows = rows_of(Grammar("choices", '["yes"]'))
    logits = torch.zeros(1, INTERN.size)
    logits[0, ids("{")[0]] = 1e9
    (chosen,) = read_indices(choose(logits, rows, [0]))
    assert chosen in bits(rows[0].matcher.allowed([]) if rows[0].matcher else None)


def test_a_row_that_the_library_gives_up_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(Grammar("choices", '["yes"]'), Grammar("json_object"))
    monkeypatch.setattr(rows[0].matcher, "allowed", lambda tokens: None)
    chosen = read_indices(choose(torch.zeros(2, INTERN.size), rows, [0, 0]))
    assert isinstance(rows[0].error, errors.StructuredOutputFailed)
    assert rows[0].error.param == "choices"
    assert rows[1].error is None
    assert chosen[1] in bits(rows[1].matcher.allowed([]) if rows[1].matcher else None)


def test_a_matcher_that_met_a_token_it_does_not_take_gives_up() -> None:
    matcher = INTERN.grammars.matcher(Grammar("choices", '["yes"]'))
    assert matcher is not None
    assert matcher.allowed(ids("no")) is None
    assert not matcher.is_over(ids("no"))
    assert matcher.is_over(ids("yes"))  # its tokens are another row's now
