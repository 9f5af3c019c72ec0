"""Tags of a caption: its content words, then adjacent pairs of them. Rules and a stop list; no language model.

A word is dropped when it is a function word, a number, an adverb in -ly, a verb form in -ing or a common verb of
captions; what is left are nouns and adjectives.
"""

from __future__ import annotations

import re
from itertools import pairwise

MOST = 50

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_NO_TAG = frozenset(
    # articles, pronouns, prepositions, conjunctions, auxiliaries
    "a an the this that these those it its he him his she her hers they them their theirs we us our ours you your "
    "i me my who whom whose which what where when why how there here some any each every both all few more most "
    "other others another such no nor not only own same so than too very just also again once of at by for with "
    "about against between among into onto through during before after above below to from up down in out on off "
    "over under around behind beside besides along across near toward towards inside outside within without upon "
    "next top and but or if because as until while although though is am are was were be been being do does did "
    "done have has had having can could will would shall should may might must s t one two three four five six "
    "seven eight nine ten several many much lot lots "
    # verbs that captions are full of, in the forms that -ing does not catch and that are no nouns of captions
    "sit sits sat stands stood lies lay lays hold holds held wear wears wore rides rode walks walked runs ran "
    "looks looked eat eats ate plays played flies flew jumps jumped swims make makes made take takes took taken "
    "shows shown see sees seen go goes gone get gets got come comes came hang hangs hung lean leans leaned "
    "covered fill fills filled parked surround surrounds surrounded attach attached placed depict depicts "
    "depicted feature features featured contain contains contained displayed poses posed carry carries carried "
    "perches perched ".split()
)
_NOUNS_IN_ING = frozenset(
    "building ceiling wedding evening morning clothing painting string king ring wing swing spring thing railing awning"
    " lightning earring pudding icing frosting drawing crossing landing meeting siding bedding herring sling beijing"
    " living dining swimming".split()
)
_WORDS_IN_LY = frozenset("family butterfly belly lily jelly fly bully holly trolley rally ally curly woolly".split())


def tags(caption: str) -> list[str]:
    """At most 50 tags: the content words in the order of the caption, then pairs that stand side by side, as `a_b`."""
    words = _WORD.findall(caption.lower())
    singles = [word for word in words if _is_content(word)]
    pairs = [f"{left}_{right}" for left, right in _side_by_side(caption.lower())]
    return list(dict.fromkeys(singles + pairs))[:MOST]


def _side_by_side(caption: str) -> list[tuple[str, str]]:
    """Content words with nothing but a space or a hyphen between them."""
    found = list(_WORD.finditer(caption))
    return [
        (left.group(), right.group())
        for left, right in pairwise(found)
        if caption[left.end() : right.start()] in (" ", "-")
        and _is_content(left.group())
        and _is_content(right.group())
    ]


def _is_content(word: str) -> bool:
    if len(word) < 2 or word in _NO_TAG or "'" in word or "\u2019" in word:
        return False
    if word.endswith("ing") and word not in _NOUNS_IN_ING:
        return False
    return not (word.endswith("ly") and word not in _WORDS_IN_LY)
