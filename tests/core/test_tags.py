"""Tags of captions as models write them."""

from __future__ import annotations

import itertools
import string

import pytest

from looksee.core.tags import MOST, tags


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("", ""),
        ("of the and", ""),
        ("123 4.5 !", ""),
        ("a red circle", "red circle red_circle"),
        ("a red circle and a blue square", "red circle blue square red_circle blue_square"),
        (
            "a red circle, a blue square and a green cross",
            "red circle blue square green cross red_circle blue_square green_cross",
        ),
        ("A BLACK BEAR", "black bear black_bear"),
        ("a woman sitting on the beach with her dog", "woman beach dog"),
        ("two dogs playing in the snow", "dogs snow"),
        ("3 people standing in front of a building", "people front building"),
        ("a close up of a plate of food on a table", "close plate food table"),
        ("a black and white photo of a city street", "black white photo city street white_photo city_street"),
        ("a man riding a wave on top of a surfboard", "man wave surfboard"),
        ("a bunch of bananas hanging from a tree", "bunch bananas tree"),
        ("a cat is laying on a laptop keyboard", "cat laptop keyboard laptop_keyboard"),
        (
            "a kitchen with a stove, a refrigerator and wooden cabinets",
            "kitchen stove refrigerator wooden cabinets wooden_cabinets",
        ),
        ('a t-shirt with the words "hello world" on it', "shirt words hello world hello_world"),
        ("a family walking their dog along the beach in the evening", "family dog beach evening"),
        ("a person's hand holding a cell phone", "person hand cell phone person_hand cell_phone"),
        ("a woman\u2019s red dress", "woman red dress woman_red red_dress"),
        ("the dogs' bowls", "dogs bowls"),
        ("it's a cat and it\u2019s asleep", "cat asleep"),
        ("there's a dog that doesn't bark and can't bite", "dog bark bite"),
        (
            "a wedding cake with pink icing and strawberries",
            "wedding cake pink icing strawberries wedding_cake pink_icing",
        ),
        ("a brightly colored butterfly on a lily", "colored butterfly lily colored_butterfly"),
        ("a high-speed train on the tracks", "high speed train tracks high_speed speed_train"),
        ("a living room with a couch and a television", "living room couch television living_room"),
        ("a bird flying over the ocean", "bird ocean"),
        ("a stuffed teddy bear in a red hat", "stuffed teddy bear red hat stuffed_teddy teddy_bear red_hat"),
        (
            "there is a yellow school bus parked on the side of the road",
            "yellow school bus side road yellow_school school_bus",
        ),
        ("a group of people skiing down a snow covered slope", "group people snow slope"),
        ("a dining room table", "dining room table dining_room room_table"),
        ("a hot dog with mustard\non a paper plate", "hot dog mustard paper plate hot_dog paper_plate"),
        ("boats in a harbor at night", "boats harbor night"),
        ("an old truck. new cars", "old truck new cars old_truck new_cars"),
        ("a dog, cats; birds (horses) sheep/cows", "dog cats birds horses sheep cows"),
        ("dogs 2 cats", "dogs cats"),
        ("a red ball and a red car", "red ball car red_ball red_car"),
        ("a dog and a dog and a dog", "dog"),
        ("big dog, big dog", "big dog big_dog"),
        ("a letter x next to vitamin c", "letter vitamin"),
        ("men that wear ties and a dog that runs", "men ties dog"),
        ("a boy sits where a girl stood", "boy girl"),
        # several pictures, and other punctuation that pairs do not cross
        ("a red circle; a blue square", "red circle blue square red_circle blue_square"),
        ("red circle; blue square", "red circle blue square red_circle blue_square"),
        (
            "a red circle and a blue square; a red circle, a green cross and a black triangle; a blue square",
            "red circle blue square green cross black triangle red_circle blue_square green_cross black_triangle",
        ),
        ("cats: dogs! birds? fish\u2026 frogs", "cats dogs birds fish frogs"),
        ("old trucks (red cars) new bikes", "old trucks red cars new bikes old_trucks red_cars new_bikes"),
        ("a dog - a cat \u2013 a bird \u2014 a cow", "dog cat bird cow"),
        ("dog - cat", "dog cat"),
        ("dog\ncat", "dog cat"),
        ("A **red car** by the _old barn_", "red car old barn red_car old_barn"),
        # numbers
        ("3 dogs and 12 cats on 4th street", "dogs cats street"),
        ("a 1950s car, a 3d print, 2nd place at 5pm", "car print place"),
        ("an mp3 player on a 4x4 truck", "player truck"),
        ("a dozen eggs, eleven apples, hundreds of people", "eggs apples people"),
        ("a two-story house", "story house story_house"),
        # hyphens
        ("a t-shirt and an x-ray", "shirt ray"),
        ("a black-and-white cow", "black white cow white_cow"),
        ("a close-up of a bright-red flower", "close bright red flower bright_red red_flower"),
        ("a well\u2011worn armchair", "well worn armchair well_worn worn_armchair"),
        # people, plurals, adjectives
        ("an elderly man and his friendly wife", "elderly man friendly wife elderly_man friendly_wife"),
        ("two men and three women with their children", "men women children"),
        ("a dragonfly on a lily", "dragonfly lily"),
        ("cars in a parking lot", "cars parking"),
        # as an instructed model writes
        (
            "A fluffy orange cat is curled up on a worn, green armchair by a window.",
            "fluffy orange cat curled worn green armchair window fluffy_orange orange_cat green_armchair",
        ),
        (
            "The image shows a young woman smiling brightly while holding a white coffee mug.",
            "image young woman white coffee mug young_woman white_coffee coffee_mug",
        ),
        (
            "A bustling city street at night features neon signs, yellow taxis and pedestrians with umbrellas.",
            "city street night neon signs yellow taxis pedestrians umbrellas city_street neon_signs yellow_taxis",
        ),
        (
            "Two golden retrievers are running through shallow water, their wet fur glistening in the sunlight.",
            "golden retrievers shallow water wet fur sunlight golden_retrievers shallow_water wet_fur",
        ),
        (
            "There appears to be a snow-capped mountain beyond the lake.",
            "snow capped mountain lake snow_capped capped_mountain",
        ),
    ],
)
def test_tags_of_captions(caption: str, expected: str) -> None:
    assert tags(caption) == expected.split()


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a wooden bench in a park", "wooden bench park wooden_bench"),
        ("people sitting at a fruit stand", "people fruit stand fruit_stand"),
        ("a woman with a drink in her hand", "woman drink hand"),
    ],
)
def test_nouns_that_may_be_verbs_are_kept(caption: str, expected: str) -> None:
    assert tags(caption) == expected.split()


@pytest.mark.parametrize("written", ["caf\u00e9", "cafe\u0301", "CAF\u00c9"])
def test_words_with_other_letters_stay_whole(written: str) -> None:
    assert tags(f"a {written} by the river") == ["caf\u00e9", "river"]


def words(count: int) -> list[str]:
    return [
        "x" + "".join(letters)
        for letters in itertools.islice(itertools.product(string.ascii_lowercase, repeat=2), count)
    ]


@pytest.mark.parametrize("count", [1, 2, 25, 26, 49, 50, 51, 300])
def test_at_most_fifty_and_words_before_pairs(count: int) -> None:
    found = words(count)
    expected = found + [f"{left}_{right}" for left, right in itertools.pairwise(found)]
    assert tags(" ".join(found)) == expected[:MOST]
    assert MOST == 50


def test_no_tag_comes_twice() -> None:
    found = tags("a red red rose and a red rose beside a red red rose")
    assert len(found) == len(set(found))
    assert found[:2] == ["red", "rose"]


@pytest.mark.parametrize(
    "separator",
    [
        ", ",
        ". ",
        "; ",
        ";",
        ": ",
        " - ",
        "\n",
        " and ",
        " the ",
        " / ",
        "/",
        " & ",
        " 2 ",
        ' "',
        "--",
        " walking ",
        " so ",
    ],
)
def test_only_a_blank_or_a_hyphen_makes_neighbours(separator: str) -> None:
    assert tags(f"dog{separator}cat") == ["dog", "cat"]


@pytest.mark.parametrize("separator", [" ", "  ", "\t", "\u00a0", "-", "\u2010", "\u2011"])
def test_neighbours_become_a_pair(separator: str) -> None:
    assert tags(f"dog{separator}cat") == ["dog", "cat", "dog_cat"]
