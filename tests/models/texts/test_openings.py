"""Openings that are cut from captions, and that a text is the same however it comes."""

from __future__ import annotations

import pytest

from looksee.models.texts.openings import opening, without

CUT = {
    "The image shows a red circle.": "A red circle.",
    "This picture depicts two dogs on a beach.": "Two dogs on a beach.",
    "a photo of a dog": "a dog",
    "A photo of a dog": "A dog",
    "an image of a red circle": "a red circle",
    "picture of three cats": "three cats",
    "This image prominently features a bridge": "A bridge",
    "The image is a photograph of a harbour.": "A harbour.",
    "This is a picture of a red square": "A red square",
    "This appears to be a photo of a street.": "A street.",
    "The photo appears to show a street.": "A street.",
    "In this image, we can see a man.": "A man.",
    "In the picture there are three shapes.": "Three shapes.",
    "In the image, a dog is running.": "A dog is running.",
    "there is a cat that is sitting on a couch": "a cat that is sitting on a couch",
    "There's a cat": "A cat",
    "Sure! Here is a short caption for the image: a dog on a beach": "A dog on a beach",
    "Here's a description of this photo:\n\nThe image shows a dog.": "A dog.",
    "Caption: A dog.": "A dog.",
    'The scene captures "Luna", a boat.': '"Luna", a boat.',
    "An image showing the sea": "The sea",
    "A picture that shows the sea": "The sea",
    "The provided image is of a dog": "A dog",
}
KEPT = [
    "a red circle",
    "Red",
    "The image shows",
    "a photo of",
    "The image shows that it is raining.",
    "The image showsa dog",
    "A photographer of animals.",
    "a painting of a dog",
    "A black and white photo of a dog",
    "The painting depicts a battle.",
    "This is a dog.",
    "The photo was taken at night.",
    "The image-shows effect",
    "In this case, we lose.",
    "It is a dog.",
    "there was a dog",
    "Here is a dog",
    "A picture frame hangs on the wall.",
    "The pictures on the wall show dogs",
    "",
]  # fmt: skip


@pytest.mark.parametrize(("text", "rest"), CUT.items())
def test_an_opening_is_cut_and_a_sentence_still_begins_with_a_capital(text: str, rest: str) -> None:
    assert without(text, opening(text, complete=True) or 0) == rest


@pytest.mark.parametrize("text", KEPT)
def test_what_says_something_stays(text: str) -> None:
    assert without(text, opening(text, complete=True) or 0) == text


@pytest.mark.parametrize("text", [*CUT, *KEPT])
def test_a_text_that_still_grows_is_cut_as_it_is_in_the_end(text: str) -> None:
    long = f"{text} and so on, with many more words behind it, so that all of it is known at some time {'more ' * 20}"
    for whole in (text, long):
        end = opening(whole, complete=True)
        told = [opening(whole[:length], complete=False) for length in range(len(whole) + 1)]
        assert {one for one in told if one is not None} <= {end}
    assert told[-1] == end, "it is never decided"


def test_a_text_without_an_opening_is_told_with_its_first_word() -> None:
    assert opening("Red ", complete=False) == 0
    assert opening("Red", complete=False) is None
