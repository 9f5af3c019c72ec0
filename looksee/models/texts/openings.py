"""Openings of captions that say nothing but that there is a picture: "The image shows", "a photo of".

They are what captioners write before what they see: chat models ("In this image, we can see"), BLIP and BLIP-2 ("a
picture of", "there is"), and models that talk to whoever asked ("Sure! Here is a caption:"). What says something about
the picture stays: "a painting of", "a black and white photo of". So do openings with a clause behind them ("The image
shows that"), and those that are all of the text.
"""

from __future__ import annotations

import re

# Words that an opening has, with the one behind it: more of them do not change what it is.
MOST_WORDS, MOST_WORDS_OF_TALK = 12, 24

_MEDIUM = r"(?:images?|pictures?|photos?|photographs?|pic|scene|snapshot)"
_PLAIN = r"(?:(?:provided|given|attached|uploaded|above|following|displayed|presented)\s+)?"
_THIS = rf"(?:the|this|that)\s+{_PLAIN}{_MEDIUM}"
_A = rf"(?:(?:a|an|the|one|another)\s+)?{_PLAIN}(?:images?|pictures?|photos?|photographs?|pic|snapshot)"
_HOW = r"(?:(?:clearly|mainly|primarily|prominently|simply|vividly)\s+)?"
_SHOWS = (
    r"(?:shows?|depicts?|displays?|features?|presents?|contains?|captures?|portrays?|illustrates?|includes?"
    r"|showcases?|reveals?|represents?)"
)
_SHOWING = r"(?:showing|depicting|displaying|featuring|presenting|containing|capturing|portraying|showcasing)"
_SEEMS = r"(?:(?:appears?|seems?)\s+to\s+)"
_ONE_SEES = r"(?:(?:we|you|i|one)\s+(?:can\s+|could\s+)?(?:see|observe)|there(?:\s+is|\s+are|['\u2019]s))"
_A_OF = rf"{_A}\s+(?:of|{_SHOWING}|(?:that|which)\s+{_SHOWS})"
_TALK = (
    r"(?:(?:sure|certainly|of\s+course|okay|ok)[!,.:]\s*)?"
    r"(?:here(?:\s+is|['\u2019]s)\s+(?:a|an|the|my|your)(?:\s+[\w-]+){0,2}\s+(?:captions?|descriptions?)"
    rf"(?:\s+(?:of|for)\s+(?:the|this|your)\s+{_MEDIUM})?|(?:image\s+|photo\s+)?(?:caption|description))\s*:\s*"
)
_SAID = (
    rf"{_THIS}\s+(?:is\s+)?{_HOW}(?:{_SEEMS}{_SHOWS.replace('s?', '')}|{_SHOWS}|{_SHOWING})",
    rf"{_THIS}\s+(?:is|{_SEEMS}be)\s+(?:{_A_OF}|of)",
    rf"(?:this|it)\s+(?:is|{_SEEMS}be)\s+{_A_OF}",
    rf"(?:in|on|within)\s+{_THIS}\s*,?\s+(?:{_ONE_SEES})",
    rf"(?:in|on|within)\s+{_THIS}\s*,",
    rf"{_ONE_SEES}",
    rf"{_A_OF}",
)
# A clause is no thing that is seen: what would be left of "The image shows that it rains" is no sentence.
_CLAUSE = r"(?!\s*(?:that|how|what|why|when|whether|if|to|up)\b)"
_BEHIND = r"(?=[\w\"'\u201c\u2018(])"
_OPENING = re.compile(rf"(?:{_TALK})?(?:(?:{'|'.join(_SAID)})(?![\w-]){_CLAUSE}\s*[:,]?\s+)?{_BEHIND}", re.I)
_TALKS = frozenset("sure certainly of okay ok here image photo caption description".split())
_FIRST = _TALKS | frozenset(
    "a an the one another this that it in on within we you i there images picture pictures photos photograph"
    " photographs pic snapshot provided given attached uploaded above following displayed presented".split()
)
_WORD = re.compile(r"\S+")
_LETTERS = re.compile(r"[^\W\d_]+")


def opening(text: str, *, complete: bool) -> int | None:
    """How many characters of a text, which begins without white space, are its opening: 0 where it has none.

    None for an unfinished text that may still become one with another opening. A `complete` one gets no more.
    """
    if not complete and not _is_settled(text):
        return None
    found = _OPENING.match(text)
    return found.end() if found else 0


def without(text: str, length: int) -> str:
    """The text behind its first characters, with a capital letter if it began with one."""
    rest = text[length:]
    return rest[:1].upper() + rest[1:] if length and text[:1].isupper() else rest


def _is_settled(text: str) -> bool:
    """Whether no further words change what the opening is."""
    found = _LETTERS.match(text)
    first = found[0].lower() if found and found.end() < len(text) else ""
    if first and first not in _FIRST:
        return True
    most = MOST_WORDS if first and first not in _TALKS else MOST_WORDS_OF_TALK
    return sum(1 for _ in _WORD.finditer(text)) > most
