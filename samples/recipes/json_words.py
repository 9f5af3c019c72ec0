"""What JSON about scenes is spelt with, each to be one token: without them a schema has three times as many."""

from __future__ import annotations

import string

_MARKS = '{" ": ~" ", ~{" {"$ "} "}} "}, "}}, ~[" "] "], "]} }, }} }}, ~[{" "}] "}], ~"#/$'  # ~ is a space
_KEYWORDS = (
    "type string integer boolean number array object properties required title description additionalProperties items "
    "enum anyOf null defs ref minimum maximum exclusiveMinimum true false schema"
)
_NAMES = (
    "caption count color colour shape answer name kind label tag keyword thing item value output result response "
    "summary text alt total image picture present found exists match contains has the there left right how what of to"
)
_TITLES = (
    "Caption Count Color Colour Shape Answer Name Kind Label Tag Keyword Thing Item Value Output Result Response "
    "Summary Text Total Image Picture Scene Object Title Type Description Number Has The All How"
)
_BEHIND_SPACES = (
    "Circle Square Triangle Cross Red Green Blue Yellow Purple Black Is There Present JSON Schema object keys fields "
    "other text follows only with left right number image true false"
)

# Characters that a small vocabulary may lack come first.
JSON_WORDS = (
    *(mark for mark in string.printable if not mark.isspace()),
    *(mark.replace("~", " ") for mark in _MARKS.split()),
    *_KEYWORDS.split(),
    *_NAMES.split(),
    *_TITLES.split(),
    *(f" {word}" for word in _BEHIND_SPACES.split()),
)
