"""Tags of a caption: its content words, then adjacent pairs of them. Rules and a stop list; no language model.

A word is dropped when it is a function word, a number, an adverb in -ly, a verb form in -ing or a common verb of
captions; what is left are nouns and adjectives. Pairs never cross punctuation, nor a word that is dropped.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

MOST = 50

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_POSSESSIVE = re.compile(r"['\u2019]s$")
_HYPHENS = ("-", "\u2010", "\u2011")
_NO_TAG = frozenset(
    # articles, pronouns, prepositions, conjunctions, auxiliaries
    "a an the this that these those it its he him his she hers her they them their theirs we us our ours you your "
    "i me my who whom whose which what where when why how there here some any each every both all few more most "
    "itself himself herself themselves someone somebody anyone anybody everyone everybody nobody none "
    "other others another such no nor not only own same so than too very just also again once of at by for with "
    "about against between among amongst amid amidst into onto through throughout during before after above below to "
    "from up down in out on off over under underneath beneath around behind beside besides along alongside across near "
    "toward towards inside outside within without upon beyond despite like per via past since "
    "next top and but or if because as until while whereas although though yet is am are was were be been do does did "
    "done has have had can could will would shall should may might must s t "
    "either neither else ever never always often sometimes away together apart back almost quite rather perhaps maybe "
    # numbers and amounts
    "one two three four five six seven eight nine ten eleven twelve dozen dozens hundred hundreds thousand thousands "
    "several many much lot lots "
    # verbs that captions are full of, in the forms that -ing does not catch and that are no nouns of captions
    "sit sits sat stands stood lies lay lays hold holds held wear wears wore rides rode walks walked runs ran "
    "looks looked eat eats ate plays played flies flew jumps jumped swims make makes made take takes took taken "
    "shows shown see sees seen go goes gone get gets got come comes came hang hangs hung lean leans leaned "
    "covered fill fills filled parked surround surrounds surrounded attach attached placed depict depicts "
    "depicted feature features featured contain contains contained displayed poses posed carry carries carried "
    "perches perched appear appears appeared seem seems seemed include includes included showcases captures captured "
    "located situated positioned arranged accompanied set sets rests rested smiles smiled sleeps slept reads "
    "using used ".split()
)
_NOUNS_IN_ING = frozenset(
    "building ceiling wedding evening morning clothing painting string king ring wing swing spring thing railing awning"
    " lightning earring pudding icing frosting drawing crossing landing meeting siding bedding herring sling beijing"
    " living dining swimming parking shopping washing sewing cutting seating lighting flooring stuffing dressing"
    " topping stocking opening packaging wrapping dumpling duckling gosling viking".split()
)
_WORDS_IN_LY = frozenset(
    "family belly lily jelly bully holly trolley rally ally july assembly italy gully potbelly "
    "curly woolly hilly chilly elderly friendly lovely lonely lively silly ugly wobbly bubbly".split()
)


def tags(caption: str) -> list[str]:
    """At most 50 tags: the content words in the order of the caption, then pairs that stand side by side, as `a_b`."""
    text = unicodedata.normalize("NFC", caption).lower()
    found = [(_content(match.group()), match.start(), match.end()) for match in _WORD.finditer(text)]
    singles = [word for word, _, _ in found if word]
    pairs = [
        f"{left}_{right}"
        for (left, _, end), (right, start, _) in pairwise(found)
        if left and right and _adjacent(text[end:start])
    ]
    return list(dict.fromkeys(singles + pairs))[:MOST]


def _adjacent(between: str) -> bool:
    """Whether the words on both sides of `between` are neighbours: spaces or one hyphen, no new line, no dash."""
    return between in _HYPHENS or (between.isspace() and "\n" not in between)


def _content(word: str) -> str:
    """A noun or an adjective, without its possessive 's; empty for any other word."""
    word = _POSSESSIVE.sub("", word)
    if not _LETTERS.fullmatch(word) or word in _NO_TAG:
        return ""
    if word.endswith("ing") and word not in _NOUNS_IN_ING:
        return ""
    if word.endswith("ly") and not word.endswith("fly") and word not in _WORDS_IN_LY:
        return ""
    return word
