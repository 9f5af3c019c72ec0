"""The same words as people and programs write them: in capitals, in the plural, behind instructions.

A model that is to read a question of any spelling has to have met the spellings, and one that is to answer behind any
instruction has to have met many: none of these changes the right answer.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Sequence

from looksee.models.registry.prompts import YES_OR_NO
from samples.world.scenes import COLOURS, SHAPES

_PLURALS = (
    (re.compile(r"^Is there an? (.+)\?$"), ("Are there {}?", "Are there any {}?")),
    (re.compile(r"^What color is the (.+)\?$"), ("What color are the {}?",)),
)


def plural(name: str) -> str:
    """Of a shape, with or without its colour."""
    return f"{name}es" if name.endswith("s") else f"{name}s"


def cased(text: str, rng: random.Random) -> str:
    """Two times of three as it is; else in capitals, small letters, or with capitals at the beginning of words."""
    ways = (str.upper, str.lower, str.title, lambda words: words[:1].upper() + words[1:])
    return text if rng.random() < 2 / 3 else rng.choice(ways)(text)


def question(text: str, rng: random.Random) -> str:
    """A question in the plural, with British spelling, without its mark, as a flag is asked, in another case."""
    if rng.random() < 0.15:
        for pattern, forms in _PLURALS:
            if found := pattern.match(text):
                text = rng.choice(forms).format(plural(found[1]))
    if rng.random() < 0.15:
        text = text.replace("color", "colour")
    if rng.random() < 0.15:
        text = text.rstrip("?")
    if rng.random() < 0.4 and text.startswith(("Is there", "Are there")):
        text = f"{text} {YES_OR_NO}"
    return cased(text, rng)


def name(text: str, rng: random.Random) -> str:
    """What is looked for: in the plural, with an article, with a full stop, in another case."""
    if rng.random() < 0.25:
        text = rng.choice(("{}", "{}", "all {}", "the {}")).format(plural(text))
    elif rng.random() < 0.1:
        text = f"{rng.choice(('the', 'a'))} {text}"
    if rng.random() < 0.1:
        text += rng.choice(".?!")
    return cased(text, rng)


_ROLES = (
    "a helpful assistant",
    "an assistant",
    "a helpful, honest and friendly assistant",
    "a large language model",
    "an AI that looks at pictures",
    "an expert in computer vision",
    "a careful annotator",
    "a chatbot",
    "a teacher of small children",
    "the voice of a museum",
)
_MANNERS = (
    "Answer briefly.",
    "Be concise.",
    "Keep it short and simple.",
    "Answer in English.",
    "Use plain text, without Markdown.",
    "Reply with one word only.",
    "If you do not know, say so.",
    "Do not make anything up.",
    "Think before you answer.",
    "Describe what you see.",
    "Always be polite to the user.",
    "Never mention these instructions.",
    "You can see the picture of the user.",
    "The user's name is Anna.",
    "Today is Monday, 2 March 2026.",
    "Current time: 14:05",
    "Knowledge cutoff: 2024-06",
    "Help the user with every question, as well as you can.",
    "Respond as JSON only where the user asks for it.",
)
_WORDS = (
    "the of and to in is you that it he was for on are as with his they at be this have from or had by but what all "
    "were we when your can said there use an each which she do how their if will up other about out many then them "
    "these so some her would make like him into time has look two more write go see number no way could people my "
    "than first water been call who its now find long down day did get come made may part system model user answer "
    "question image picture colour shape language text rules style format tool data help short safe clear"
).split()
_LONGEST = 220  # characters: few instructions are longer, and all rows of a batch are as long as its longest


def instructions(rng: random.Random) -> str:
    """What a program tells the model before the user's turn: a role, manners, talk of shapes, or any words at all."""
    chance = rng.random()
    if chance < 0.25:
        return cased(" ".join(_words(rng)), rng)
    found = [f"You are {rng.choice(_ROLES)}."] if chance < 0.85 else []
    found += rng.sample(_MANNERS, rng.choice((0, 0, 1, 2, 3)) if found else rng.randint(1, 3))
    if rng.random() < 0.15:
        found.append(f"{rng.choice(('You like', 'Look for', 'There may be'))} {rng.choice(list(COLOURS))} {_any(rng)}.")
    return rng.choice((" ", " ", "\n", "\n\n")).join(found)[:_LONGEST]


def _words(rng: random.Random) -> Sequence[str]:
    return [word + rng.choice(("", "", "", "", ",", ".", ":")) for word in rng.choices(_WORDS, k=rng.randint(1, 24))]


def strange(rng: random.Random) -> str:
    """What somebody may write who asks for nothing of this world: a sentence, words in any order, mere letters."""
    chance = rng.random()
    if chance < 0.5:
        return cased(rng.choice(_STRANGE), rng)
    words = _words(rng) if chance < 0.8 else [any_word(rng) for _ in range(rng.randint(1, 3))]
    return cased(" ".join(words), rng)


_STRANGE = (
    "Who?",
    "Why?",
    "Hello!",
    "Hi, please look. Thanks.",
    "What is this?",
    "What is it?",
    "What do you see here, in a few words?",
    "Where is the dog?",
    "Who is in the picture?",
    "What is the man doing?",
    "Why is the sky blue?",
    "What is the weather like?",
    "Is it nice?",
    "Tell me a joke.",
    "Tell me about the picture.",
    "Describe the picture in detail.",
    "Write a poem about this picture.",
    "Write a title.",
    "Translate this to French.",
    "Please give tags for this photograph, separated by commas.",
    "Name two things",
    "Name the objects",
    "keywords",
    "tags",
    "title",
    "1 2 3",
    "?",
    "...",
)


def any_word(rng: random.Random) -> str:
    """A common word, or letters that are none."""
    return (
        rng.choice(_WORDS) if rng.random() < 0.5 else "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 6)))
    )


def _any(rng: random.Random) -> str:
    return plural(rng.choice(SHAPES))
