"""Grammars made from what is asked, by the library `llguidance`, over one checkpoint's tokens.

A grammar is untrusted: the library's own limits bound what making one takes, what a step takes, and its memory. What
they do not bound is left out of a schema, or refused, before it comes here (`looksee.http.inputs.forced.schemas`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection
from concurrent.futures import Future
from typing import Any

from looksee.core import errors
from looksee.core.tasks import Grammar
from looksee.models.grammar.given import GivenText, given_text
from looksee.models.grammar.matcher import Matcher
from looksee.models.grammar.vocabulary import Vocabulary

MOST_CHARACTERS = 32_768  # of a grammar's text
_SECONDS = 10.0  # that making one may take; it takes milliseconds
_MOST_LEFT = 2
_LIMITS: dict[str, Any] = {"max_lexer_states": 5_000, "max_grammar_size": 200_000, "verbose_errors": False}
# Members in the schema's order. Between two tokens of JSON is at most a space: a model that has lost its way would
# write line ends and spaces for ever.
_JSON: Any = {"lenient": True, "coerce_one_of": True, "whitespace_flexible": True, "whitespace_pattern": " ?"}


class Grammars:
    """Makes the matchers of rows. Safe to use from several threads; the library is imported with the first."""

    def __init__(self, tokenizer: Any, ends: Collection[int], size: int) -> None:
        """As `Vocabulary`."""
        self._tokenizer, self._ends, self._size = tokenizer, sorted(ends), size
        self._lock = threading.Lock()
        self._tokens: Any = None
        self._left = 0

    def matcher(self, grammar: Grammar | None) -> Matcher | GivenText | None:
        """A matcher at the beginning of `grammar`; None for none.

        Raises TaskNotSupported where the tokens are no bytes, and InvalidRequest for a grammar that is none, that
        nothing follows, or that takes too much; Overloaded while several of these are still being made; InvalidValue
        for a given text with control tokens.
        """
        if grammar is None:
            return None
        if grammar.kind == "given":
            return given_text(self._tokenizer, grammar.text, self._ends, self._size)
        # Made anew for each row: the library's copies share what they learn, and the limits of that.
        return Matcher(self._made_in_time(grammar), self._ends, _param(grammar))

    def _made_in_time(self, grammar: Grammar) -> Any:
        """What `_made` returns or raises. The library cannot be stopped: what takes it too long is left behind in a
        thread, and while there are several of these no further grammar is made.
        """
        self._library_tokens()  # once, and no fault of the grammar
        if self._left >= _MOST_LEFT:
            raise errors.Overloaded("No further form of an answer can be prepared now; try again.", retry_after=30)
        made: Future[Any] = Future()

        def make() -> None:
            try:
                made.set_result(self._made(grammar))
            except BaseException as error:  # the caller's
                made.set_exception(error)

        threading.Thread(target=make, name="grammar", daemon=True).start()
        try:
            return made.result(_SECONDS)
        except TimeoutError:
            self._count_left(1)
            made.add_done_callback(lambda _: self._count_left(-1))
            raise _refused(grammar, "it takes too long") from None

    def _count_left(self, more: int) -> None:
        with self._lock:
            self._left += more

    def _made(self, grammar: Grammar) -> Any:
        from llguidance import LLMatcher, LLParserLimits

        if len(grammar.text) > MOST_CHARACTERS:
            raise _refused(grammar, f"it has {len(grammar.text)} characters; at most {MOST_CHARACTERS} are taken")
        tokens = self._library_tokens()
        try:
            made = LLMatcher(tokens, _text(grammar), limits=LLParserLimits(**_LIMITS), log_level=0)
            first = made.deep_copy()
            empty = not any(first.compute_bitmask())
            why = first.get_error() or ("nothing follows it" if empty else "")
        except ValueError as error:  # of a schema that is nested too deeply
            why = str(error)
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # which is not among Exceptions
                raise
            why = "the library failed"
        if why:
            raise _refused(grammar, _sentence(why))
        return made

    def _library_tokens(self) -> Any:
        from llguidance import LLTokenizer, TokenizerWrapper

        with self._lock:
            if self._tokens is None:
                try:
                    vocabulary = Vocabulary(self._tokenizer, self._ends, self._size)
                except ValueError:
                    raise errors.TaskNotSupported(
                        "This model's answers cannot be forced into a form.", param="model"
                    ) from None
                self._tokens = LLTokenizer(TokenizerWrapper(vocabulary), n_vocab=self._size)
            return self._tokens


def _text(grammar: Grammar) -> str:
    """The grammar in the library's form. Raises ValueError."""
    from llguidance import LLMatcher

    if grammar.kind == "choices":
        texts = " | ".join(json.dumps(text, ensure_ascii=False) for text in json.loads(grammar.text))
        return LLMatcher.grammar_from_lark(f'start: " "? ({texts})')
    if grammar.kind == "regex":
        return LLMatcher.grammar_from_regex(f" ?({_without_anchors(grammar.text)})")
    schema = json.loads(grammar.text) if grammar.kind == "json_schema" else {"type": "object"}
    return LLMatcher.grammar_from_json_schema(schema, overrides=_JSON)


def _without_anchors(expression: str) -> str:
    """The same expression: it is about the whole answer in any case, and the library knows no anchors here."""
    expression = expression.removeprefix("^")
    backslashes = len(expression) - 1 - len(expression[:-1].rstrip("\\"))
    return expression[:-1] if expression.endswith("$") and backslashes % 2 == 0 else expression


def _sentence(why: str) -> str:
    """What matters of the library's message, in one line."""
    lines = [line.strip() for line in why.splitlines() if line.strip() and "<non-verbose/>" not in line]
    found = next((line for line in lines if line.startswith("error: ")), lines[0] if lines else "it has no words")
    return {"NoExtensionBias": "nothing follows it"}.get(found, found.removeprefix("error: ").rstrip(".")[:200])


def _refused(grammar: Grammar, why: str) -> errors.LookseeError:
    return errors.InvalidRequest(f"No answer can be forced into this form: {why}.", param=_param(grammar))


def _param(grammar: Grammar) -> str:
    """The parameter of requests that has it."""
    return grammar.kind if grammar.kind in ("choices", "regex") else "response_format"
