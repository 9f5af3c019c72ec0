"""What was found, drawn into pictures of every size and ground."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from looksee.core import errors
from looksee.core.geometry import Box, Point
from looksee.core.images import annotate
from tests.support.files import encoded, plain

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
FIRST, SECOND = (230, 159, 0), (86, 180, 233)
MIDDLE = Box(0.25, 0.25, 0.75, 0.75)


def boxes(picture: Image.Image, *found: Box, label: str = "cat") -> Image.Image:
    return opened(annotate.boxes(encoded(picture), [(label, found)]))


def points(picture: Image.Image, *found: Point, label: str = "cat") -> Image.Image:
    return opened(annotate.points(encoded(picture), [(label, found)]))


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    return picture


def ground(size: tuple[int, int] = (400, 400), colour: tuple[int, int, int] = WHITE) -> Image.Image:
    return Image.new("RGB", size, colour)


def colours(picture: Image.Image, area: tuple[int, int, int, int] | None = None) -> set[object]:
    found = (picture.crop(area) if area else picture).getcolors(2**24)
    assert found is not None
    return {colour for _, colour in found}


def test_a_box_is_framed_where_it_is_and_its_inside_is_left_alone() -> None:
    drawn = boxes(ground(), MIDDLE)
    for edge in ((100, 200), (299, 200), (200, 100), (200, 299), (100, 299), (299, 299)):
        assert drawn.getpixel(edge) == FIRST
    for outside in ((95, 200), (304, 200), (200, 304), (200, 70)):
        assert drawn.getpixel(outside) == WHITE
    assert colours(drawn, (110, 110, 290, 290)) == {WHITE}


def test_a_point_is_a_spot_where_it_is() -> None:
    drawn = points(ground(), Point(0.5, 0.25))
    assert drawn.getpixel((200, 100)) == BLACK
    assert drawn.getpixel((203, 100)) == FIRST
    assert drawn.getpixel((190, 100)) == WHITE


@pytest.mark.parametrize("colour", [WHITE, BLACK, FIRST, SECOND, (128, 128, 128)])
def test_lines_and_words_show_on_any_ground(colour: tuple[int, int, int]) -> None:
    """Where the line has the ground's colour its seam shows, and letters are always black on a plate."""
    for drawn in (boxes(ground(colour=colour), MIDDLE), points(ground(colour=colour), Point(0.5, 0.5))):
        shown = colours(drawn) - {colour}
        assert {FIRST, BLACK} - {colour} <= shown
    above = (100, 60, 300, 97)
    assert {BLACK, FIRST} <= colours(boxes(ground(colour=colour), MIDDLE), above)


def test_several_have_colours_and_numbers_of_their_own() -> None:
    found = [Box(0.1, 0.2, 0.3, 0.4), Box(0.6, 0.2, 0.8, 0.4)]
    drawn = boxes(ground((1000, 1000)), *found)
    assert drawn.getpixel((100, 300)) == FIRST
    assert drawn.getpixel((600, 300)) == SECOND
    one, two = drawn.crop((100, 140, 300, 196)), drawn.crop((600, 140, 800, 196))
    inks = [picture.convert("L").point(lambda grey: 255 * (grey < 40)).tobytes() for picture in (one, two)]
    assert inks[0] != inks[1], "the same words without a number"
    assert drawn.tobytes() != boxes(ground((1000, 1000)), *reversed(found)).tobytes()


@pytest.mark.parametrize("side", [200, 800, 3200])
def test_lines_and_letters_grow_with_the_picture(side: int) -> None:
    drawn = boxes(ground((side, side)), MIDDLE)
    line = [drawn.getpixel((x, side // 2)) for x in range(side // 2)].count(FIRST)
    assert line == pytest.approx(side / 200, abs=0.5)
    plate = [drawn.getpixel((side // 4 + 2 * line, y)) for y in range(side // 4 - 2 * line)].count(FIRST)
    assert plate >= max(8, side / 40)


@pytest.mark.parametrize("size", [(3, 3), (4, 1000), (1000, 4), (16, 16), (64, 64), (100, 90), (101, 500), (6000, 200)])
@pytest.mark.parametrize("label", ["cat", "x" * 4000, "", " \n", "\u4e2d\u6587", "caf\u00e9", "a\x00b", "a\nb"])
def test_no_size_and_no_label_is_too_much(size: tuple[int, int], label: str) -> None:
    places = [Box(0, 0, 1, 1), Box(1, 1, 1, 1), Box(0, 0, 0, 0), Box(0.99, 0, 1, 0.01), MIDDLE]
    assert boxes(ground(size), *places, label=label).size == size
    spots = [Point(0, 0), Point(1, 1), Point(1, 0), Point(0.5, 0.5)]
    assert points(ground(size), *spots, label=label).size == size


def test_words_stay_in_the_picture_and_hide_at_most_half_of_its_width() -> None:
    for x in (0.0, 0.5, 1.0):
        drawn = points(ground((400, 200)), Point(x, 1.0), label="a cat on a mat under a hat, far away from everything")
        box = drawn.point(lambda value: 255 * (value != 255)).getbbox()
        assert box is not None
        assert 150 < box[2] - box[0] <= 215
    assert colours(points(ground((60, 60)), Point(0, 0), label="cat"), (10, 10, 60, 60)) == {WHITE}, "no room"


def test_letters_that_the_font_lacks_are_replaced_by_a_number() -> None:
    assert boxes(ground(), MIDDLE, label="caf\u00e9").tobytes() == boxes(ground(), MIDDLE, label="cafe").tobytes()
    assert boxes(ground(), MIDDLE, label="\u4e2d").tobytes() == boxes(ground(), MIDDLE, label="1").tobytes()


def test_nothing_found_is_the_picture_itself() -> None:
    picture = Image.effect_noise((50, 40), 90).convert("RGB")
    assert boxes(picture).tobytes() == points(picture).tobytes() == picture.tobytes()


def test_the_picture_is_upright_and_in_full_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = ground((300, 200))
    assert opened(annotate.boxes(encoded(picture, "JPEG", exif=exif), [("cat", [MIDDLE])])).size == (200, 300)
    for kind in ("PNG", "WEBP"):
        assert opened(annotate.points(plain(kind, (300, 200)), [("cat", [Point(0, 0)])])).size == (300, 200)


def test_a_damaged_picture_is_refused() -> None:
    with pytest.raises(errors.CorruptImage):
        annotate.boxes(plain(size=(200, 100))[:-30], [("cat", [MIDDLE])])
