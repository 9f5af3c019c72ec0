"""Languages by their codes of ISO 639-1 and their English names. A closed list, since one becomes words for a model."""

from __future__ import annotations

_NAMES = (
    "af Afrikaans|am Amharic|ar Arabic|as Assamese|az Azerbaijani|be Belarusian|bg Bulgarian|bn Bengali|bo Tibetan"
    "|bs Bosnian|ca Catalan|cs Czech|cy Welsh|da Danish|de German|el Greek|en English|eo Esperanto|es Spanish"
    "|et Estonian|eu Basque|fa Persian|fi Finnish|fr French|ga Irish|gl Galician|gu Gujarati|ha Hausa|he Hebrew"
    "|hi Hindi|hr Croatian|ht Haitian Creole|hu Hungarian|hy Armenian|id Indonesian|ig Igbo|is Icelandic|it Italian"
    "|ja Japanese|jv Javanese|ka Georgian|kk Kazakh|km Khmer|kn Kannada|ko Korean|ku Kurdish|ky Kyrgyz|la Latin"
    "|lb Luxembourgish|lo Lao|lt Lithuanian|lv Latvian|mg Malagasy|mi Maori|mk Macedonian|ml Malayalam|mn Mongolian"
    "|mr Marathi|ms Malay|mt Maltese|my Burmese|nb Norwegian|ne Nepali|nl Dutch|nn Norwegian Nynorsk|no Norwegian"
    "|or Odia|pa Punjabi|pl Polish|ps Pashto|pt Portuguese|ro Romanian|ru Russian|sa Sanskrit|sd Sindhi|si Sinhala"
    "|sk Slovak|sl Slovenian|so Somali|sq Albanian|sr Serbian|su Sundanese|sv Swedish|sw Swahili|ta Tamil|te Telugu"
    "|tg Tajik|th Thai|ti Tigrinya|tk Turkmen|tl Tagalog|tr Turkish|tt Tatar|ug Uyghur|uk Ukrainian|ur Urdu|uz Uzbek"
    "|vi Vietnamese|xh Xhosa|yi Yiddish|yo Yoruba|zh Chinese|zu Zulu|en-gb British English|en-us American English"
    "|es-mx Mexican Spanish|fr-ca Canadian French|pt-br Brazilian Portuguese|pt-pt European Portuguese"
    "|zh-cn Simplified Chinese|zh-hans Simplified Chinese|zh-hant Traditional Chinese|zh-tw Traditional Chinese"
)
BY_CODE: dict[str, str] = dict(one.split(" ", 1) for one in _NAMES.split("|"))
_BY_NAME = {name.lower(): name for name in BY_CODE.values()}


def named(text: str) -> str | None:
    """The English name of a language that is told by its code or its name, in any case; None for no known one.

    A region that makes no language of its own here (`de-AT`) is passed over.
    """
    words = text.strip().lower().replace("_", "-")
    return BY_CODE.get(words) or _BY_NAME.get(words) or BY_CODE.get(words.split("-")[0] if _is_tag(words) else "")


def is_english(name: str) -> bool:
    """Whether it is English, of whatever region."""
    return name.endswith("English")


def _is_tag(words: str) -> bool:
    code, _, region = words.partition("-")
    return len(code) == 2 and region.isalnum() and 2 <= len(region) <= 4
