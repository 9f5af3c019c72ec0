"""XMP beside pictures: what is there stays, what is written is read by others."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from looksee.cli.folders.xmp import XmpPacket, found_in, keywords_of
from tests.cli.in_process import FakeService, looksee
from tests.support.files import encoded, plain

RED = plain("PNG")
OWN = f"a red square of {len(RED)}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"

# As programs for raw photographs write them: settings as attributes, a history, a comment, several languages.
RICH = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Somebody 7.0">
 <!-- kept -->
 <r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <r:Description r:about="" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
   xmlns:purl="http://purl.org/dc/elements/1.1/" xmlns:dc="http://example.org/other/"
   crs:Exposure2012="+0.50" crs:Note="one&#10;two &amp; &quot;three&quot;" dc:own="theirs">
   <purl:description><r:Alt>
     <r:li xml:lang="de">ein Hund</r:li><r:li xml:lang="x-default">a dog</r:li>
   </r:Alt></purl:description>
   <purl:subject><r:Bag><r:li>Dog</r:li><r:li>Red</r:li></r:Bag></purl:subject>
   <crs:ToneCurve><r:Seq><r:li>0, 0</r:li></r:Seq></crs:ToneCurve>
  </r:Description>
 </r:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

PLAIN = """<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:description>plain</dc:description><dc:subject>one</dc:subject></rdf:Description>"""


def texts(content: bytes, name: str) -> list[tuple[str | None, str | None]]:
    """The items of a property by another reader, with their languages."""
    root = ElementTree.fromstring(content)
    return [(item.get(LANG), item.text) for one in root.iter(f"{DC}{name}") for item in one.iter(f"{RDF}li")]


@pytest.mark.parametrize(
    ("how", "description"),
    [("skip", "a dog"), ("overwrite", OWN), ("append", f"a dog, {OWN}"), ("prepend", f"{OWN}, a dog")],
)
@pytest.mark.parametrize("name", ["a.png.xmp", "a.xmp"])
def test_what_is_there_is_merged_with(name: str, how: str, description: str, fake: FakeService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    file = tmp_path / name
    file.write_text(RICH)
    for _ in range(2):
        assert looksee("caption", tmp_path, "--xmp", "--existing", how).exit_code == 0
    content = file.read_bytes()
    assert [path.name for path in tmp_path.glob("*.xmp")] == [name]
    if how == "skip":
        assert content == RICH.encode()
        assert fake.items == []
        return
    assert texts(content, "description") == [("de", "ein Hund"), ("x-default", description)]
    assert texts(content, "subject") == [(None, "Dog"), (None, "Red"), (None, "square")]
    after, before = ElementTree.fromstring(content), ElementTree.fromstring(RICH)
    own, theirs = (root.find(f".//{RDF}Description") for root in (after, before))
    assert own is not None
    assert theirs is not None
    assert own.attrib == theirs.attrib, "ends of lines in attributes too"
    assert "<!-- kept -->" in content.decode()
    assert content.decode().startswith('<?xpacket begin="\ufeff"')
    assert content.decode().rstrip().endswith('<?xpacket end="w"?>')
    assert "0, 0" in content.decode()


def test_a_new_one_is_read_by_others(fake: FakeService, tmp_path: Path) -> None:
    fake.answer = lambda item, data: {"caption": 'A "red" <square> & a café \u0001'}
    (tmp_path / "a.png").write_bytes(RED)
    assert looksee("caption", tmp_path, "--xmp", "--trigger", "sks").exit_code == 0
    content = (tmp_path / "a.png.xmp").read_bytes()
    assert texts(content, "description") == [("x-default", 'sks, A "red" <square> & a café \ufffd')]
    assert texts(content, "subject") == [(None, "red"), (None, "square"), (None, "café")]
    # A picture takes it as its own, and gives it back.
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", xmp=content)
    with Image.open(io.BytesIO(file.getvalue())) as picture:
        assert texts(picture.info["xmp"], "subject") == texts(content, "subject")
    assert keywords_of(found_in(file.getvalue())) == ["red", "square", "café"]
    if exiftool := shutil.which("exiftool"):
        words = [exiftool, "-s3", "-xmp-dc:description", str(tmp_path / "a.png.xmp")]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert said.startswith('sks, A "red" <square> & a café')


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ('<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:description="plain"/>', "plain"),
        (PLAIN, "plain"),
        ('<rdf:Description rdf:about=""/>', ""),
        ("", ""),
    ],
)
def test_other_forms(description: str, expected: str) -> None:
    head = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    packet = XmpPacket(f"{head}{description}</rdf:RDF>".encode())
    assert packet.description == expected
    before = packet.keywords
    packet.describe("new")
    packet.add_keywords(["ONE", "two", "two"])
    again = XmpPacket(packet.content())
    assert again.description == "new"
    assert again.keywords == (["one", "two"] if before else ["ONE", "two"])
    assert texts(packet.content(), "description") == [("x-default", "new")]


@pytest.mark.parametrize(
    "content",
    [
        b"text",
        b"<html/>",
        RED,
        b"\xff\xfe\x00",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">&a;</rdf:RDF>',
    ],
)
def test_what_is_no_xmp_is_left_and_named(content: bytes, fake: FakeService, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(Image.new("RGB", (9, 9))))
    (tmp_path / "a.png.xmp").write_bytes(content)
    done = looksee("caption", tmp_path, "--xmp", "--existing", "append")
    assert done.exit_code == 1
    assert "a.png.xmp" in done.stderr
    assert (tmp_path / "a.png.xmp").read_bytes() == content
