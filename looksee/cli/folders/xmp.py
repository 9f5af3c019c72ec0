"""XMP beside a picture: its description and keywords, in a file whose other contents stay as they are.

The standard's forms are read: properties as elements, and descriptions as attributes too. What is written are the forms
that all programs read: `dc:description` as a text for every language, `dc:subject` as a bag.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.dom import minidom
from xml.parsers.expat import ExpatError

_DC = "http://purl.org/dc/elements/1.1/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML = "http://www.w3.org/XML/1998/namespace"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_EVERY_LANGUAGE = "x-default"
_SPACES = re.compile(r"[\t\n\r]")
_EMPTY = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


class XmpPacket:
    """One packet. Raises ValueError for what is no XMP."""

    def __init__(self, content: bytes = b"") -> None:
        if b"<!DOCTYPE" in content:  # whose entities could grow without end
            raise ValueError("The file has a document type, which XMP has not.")
        try:
            # A packet may be padded with zeros and spaces where it lay in a picture.
            self._document: Any = minidom.parseString(content.strip(b"\0 \t\r\n") or _EMPTY)
        except (ExpatError, ValueError, LookupError) as error:
            raise ValueError("The file is no XMP.") from error
        roots = self._document.getElementsByTagNameNS(_RDF, "RDF")
        if not roots:
            raise ValueError("The file is no XMP.")
        self._root = roots[0]

    @property
    def description(self) -> str:
        """For every language, or else the first there is; empty if there is none."""
        for about in self._abouts():
            if text := about.getAttributeNS(_DC, "description"):
                return str(text)
        texts = {item.getAttributeNS(_XML, "lang"): _text(item) for item in self._items("description")}
        return texts.get(_EVERY_LANGUAGE) or next(iter(texts.values()), "") or self._plain("description")

    @property
    def keywords(self) -> list[str]:
        return [text for text in map(_text, self._items("subject")) if text] or [
            text for text in [self._plain("subject")] if text
        ]

    def describe(self, text: str) -> None:
        """Set the description for every language; those for single languages stay."""
        for about in self._abouts():
            if about.hasAttributeNS(_DC, "description"):
                about.removeAttributeNS(_DC, "description")
        item = next(
            (one for one in self._items("description") if one.getAttributeNS(_XML, "lang") == _EVERY_LANGUAGE), None
        )
        if item is None:
            item = self._document.createElementNS(_RDF, f"{self._prefix(_RDF, 'rdf')}:li")
            item.setAttributeNS(_XML, "xml:lang", _EVERY_LANGUAGE)
            container = self._container("description", "Alt")
            container.insertBefore(item, container.firstChild)  # the default comes first
        _set_text(self._document, item, text)

    def add_keywords(self, words: Iterable[str]) -> None:
        """Those that are there already, in whatever case, are not added."""
        there = {word.casefold() for word in self.keywords}
        for word in words:
            if word.casefold() not in there:
                there.add(word.casefold())
                item = self._document.createElementNS(_RDF, f"{self._prefix(_RDF, 'rdf')}:li")
                _set_text(self._document, item, word)
                self._container("subject", "Bag").appendChild(item)

    def content(self) -> bytes:
        """As a file."""
        # Ends of lines in attributes are written as they are, and would be read as spaces.
        mark = secrets.token_hex(8)
        for node in self._document.getElementsByTagName("*"):
            for attribute in node.attributes.values():
                attribute.value = _SPACES.sub(lambda match: f"{mark}{ord(match[0])};", attribute.value)
        # Part by part: a whole document would begin with a line that a packet has not.
        text = "\n".join(node.toxml() for node in self._document.childNodes)
        return text.replace(mark, "&#").encode() + b"\n"

    def _abouts(self) -> Iterator[Any]:
        for node in self._root.childNodes:
            if node.nodeType == node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (_RDF, "Description"):
                yield node

    def _properties(self, name: str) -> list[Any]:
        return [
            node
            for about in self._abouts()
            for node in about.childNodes
            if node.nodeType == node.ELEMENT_NODE and (node.namespaceURI, node.localName) == (_DC, name)
        ]

    def _items(self, name: str) -> list[Any]:
        return [item for one in self._properties(name) for item in one.getElementsByTagNameNS(_RDF, "li")]

    def _plain(self, name: str) -> str:
        """The text of a property that is no list."""
        return next((text for text in map(_text, self._properties(name)) if text), "")

    def _container(self, name: str, kind: str) -> Any:
        """The list of a property, made if it is missing. The plain text of one becomes its first item."""
        rdf = self._prefix(_RDF, "rdf")
        properties = self._properties(name)
        if properties:
            holder = properties[0]
            for child in holder.childNodes:
                if child.nodeType == child.ELEMENT_NODE and child.namespaceURI == _RDF:
                    return child
        else:
            about = next(self._abouts(), None)
            if about is None:
                about = self._document.createElementNS(_RDF, f"{rdf}:Description")
                about.setAttributeNS(_RDF, f"{rdf}:about", "")
                self._root.appendChild(about)
            dc = self._prefix(_DC, "dc", about)
            holder = about.appendChild(self._document.createElementNS(_DC, f"{dc}:{name}"))
        container = self._document.createElementNS(_RDF, f"{rdf}:{kind}")
        if kind == "Bag" and (before := _text(holder)):
            item = container.appendChild(self._document.createElementNS(_RDF, f"{rdf}:li"))
            _set_text(self._document, item, before)
        _set_text(self._document, holder, "")
        holder.appendChild(container)
        return container

    def _prefix(self, namespace: str, usual: str, at: Any = None) -> str:
        """The prefix of a namespace, declared `at` an element where none is."""
        place = node = self._root if at is None else at
        taken = set()
        while node is not None and node.nodeType == node.ELEMENT_NODE:
            for attribute in node.attributes.values():
                if attribute.namespaceURI == _XMLNS and attribute.prefix == "xmlns":
                    if attribute.value == namespace and attribute.localName not in taken:
                        return str(attribute.localName)
                    taken.add(attribute.localName)
            node = node.parentNode
        while usual in taken:
            usual += "x"
        place.setAttributeNS(_XMLNS, f"xmlns:{usual}", namespace)
        return usual


def found_in(picture: bytes) -> list[bytes]:
    """The packet in a picture's file, if it has one in the clear, as JPEG, PNG, WebP and TIFF have."""
    begin = picture.find(b"<x:xmpmeta")
    end = picture.find(b"</x:xmpmeta>", begin)
    return [picture[begin : end + len(b"</x:xmpmeta>")]] if 0 <= begin < end else []


def keywords_of(packets: Sequence[bytes]) -> list[str]:
    """The keywords of the first packet that has some; damaged ones have none."""
    for content in packets:
        try:
            if words := XmpPacket(content).keywords:
                return words
        except ValueError:
            continue
    return []


def _text(node: Any) -> str:
    return "".join(
        child.data for child in node.childNodes if child.nodeType in (child.TEXT_NODE, child.CDATA_SECTION_NODE)
    ).strip()


def _set_text(document: Any, node: Any, text: str) -> None:
    while node.firstChild is not None:
        node.removeChild(node.firstChild)
    if text:
        node.appendChild(document.createTextNode("".join(map(_allowed, text))))


def _allowed(character: str) -> str:
    """A character as XML may hold it: most control characters cannot be written at all."""
    return character if character in "\t\n\r" or " " <= character not in "\ufffe\uffff" else "\ufffd"
