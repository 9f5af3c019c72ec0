"""From a job to a row, and what is refused before any work is done."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from looksee.core import errors
from looksee.core.tasks import Job, Sampling, Task
from looksee.models.moondream.model import Moondream
from looksee.models.moondream.row_builder import TextOptions
from looksee.models.moondream.rows import DetectRow, MoondreamRow, PointRow, ReasoningRow
from looksee.models.moondream.sequence_items import CoordinateItem, SizeItem
from tests.models.moondream import vectors

PICTURE = vectors.image("im-50x40.png")


@pytest.fixture(scope="module")
def model() -> Moondream:
    return vectors.model("mini70")


def test_the_layout_of_every_prompt(model: Moondream) -> None:
    asked, ids = model.row_builder, model.tokenizer.encode
    assert asked.caption(PICTURE, "long").prompt == [1, 40, 2, 43, 3]
    assert asked.query(PICTURE, "why?").prompt == [1, 44, 2, *ids("why?"), 3, 3]
    assert asked.query(None, "why?").prompt == [0, 1, 44, 2, *ids("why?"), 3, 3]
    assert asked.query(PICTURE, "why?", reasoning=True).prompt == [1, 44, 2, *ids("why?"), 3, 4]
    assert asked.detect(PICTURE, "cat").prompt == [1, 45, 46, 2, *ids(" cat"), 3]
    assert asked.point(PICTURE, "cat").prompt == [1, 47, 2, *ids(" cat"), 3]
    places = [CoordinateItem(0.25), CoordinateItem(0.5)]
    assert asked.point(PICTURE, "gaze", spatial_refs=[(0.25, 0.5)]).prompt == [1, 47, 2, *places, *ids(" gaze"), 3]
    boxed = asked.query(PICTURE, "?", spatial_refs=[(0.25, 0, 0.75, 1)]).prompt
    assert boxed == [1, 44, 2, CoordinateItem(0.5), CoordinateItem(0.5), SizeItem(0.5, 1), *ids("?"), 3, 3]


def test_where_a_prompt_begins_and_what_it_costs(model: Moondream) -> None:
    seen, blind = model.row_builder.query(PICTURE, "a"), model.row_builder.query(None, "a")
    assert (seen.start, seen.cost, seen.prompt_tokens) == (26, 26, 32)
    assert (blind.start, blind.cost, blind.prompt_tokens) == (0, 0, 7)


@pytest.mark.parametrize(
    "refs",
    [[(0.1,)], [(0.1, 0.2, 0.3)], [(0.5, 1.01)], [(-0.1, 0.5)], [(float("nan"), 0.5)], [(0.6, 0.2, 0.4, 0.9)], [()]],
)
def test_references_that_are_no_places(model: Moondream, refs: list[tuple[float, ...]]) -> None:
    with pytest.raises(errors.InvalidValue) as caught:
        model.row_builder.query(PICTURE, "what?", spatial_refs=refs)
    assert caught.value.param == "spatial_refs"


def test_a_length_that_does_not_exist(model: Moondream) -> None:
    with pytest.raises(errors.InvalidValue, match="short, normal, long"):
        model.row_builder.caption(PICTURE, "endless")


def test_prompt_and_answer_must_fit_the_context(model: Moondream) -> None:
    """The published code fails with an index error deep inside."""
    room = 160 - 26 - 5
    with pytest.raises(errors.PromptTooLong, match="is 160 tokens; the prompt has 145 with"):
        model.row_builder.query(PICTURE, "a" * (room - 15), TextOptions(60))
    with pytest.raises(errors.PromptTooLong):
        model.row_builder.query(PICTURE, "a" * (room - 15), TextOptions(60), reasoning=True)
    with pytest.raises(errors.PromptTooLong):
        model.row_builder.detect(PICTURE, "a" * room)
    with pytest.raises(errors.PromptTooLong):
        model.row_builder.query(None, "a" * 155)
    assert model.row_builder.query(PICTURE, "a" * (room - 16), TextOptions(60)).max_new_tokens == 16
    assert model.row_builder.query(PICTURE, "a" * (room - 15), TextOptions(8)).max_new_tokens == 8


@pytest.mark.parametrize("skill", ["query", "text", "reason", "detect"])
def test_a_full_context_can_be_used_to_its_end(skill: str) -> None:
    """The last token that is fed stands in the last position."""
    model = vectors.model("mini70", bias={"0": -99.0})
    row: MoondreamRow
    if skill == "detect":
        row = model.row_builder.detect(PICTURE, "a" * 107)
    else:
        letters = "a" * (160 - 22 - (0 if skill == "text" else 26))
        picture = None if skill == "text" else PICTURE
        row = model.row_builder.query(picture, letters, TextOptions(500), reasoning=skill == "reason")
    batch = model.prefill([row])
    while row.finish is None:
        model.step(batch)
        model.sample(batch)
    assert row.finish == "length"
    if isinstance(row, ReasoningRow):
        assert row.answer_start is not None
    assert row.position >= 160 - 3  # of the last token, which nobody needs to feed
    assert row.position <= 160


def test_jobs(model: Moondream) -> None:
    style = {"max_new_tokens": 9, "sampling": Sampling(0.5, seed=4), "stop": ("x",)}
    caption = model.prepare(Job(Task.CAPTION, (PICTURE,), "", **style))  # type: ignore[arg-type]
    assert caption.prompt == [1, 40, 2, 42, 3]
    assert (caption.max_new_tokens, caption.sampling, caption.seed, caption.stop) == (
        9,
        Sampling(0.5, seed=4),
        4,
        ("x",),
    )
    assert model.prepare(Job(Task.CAPTION, (PICTURE,), length="short")).prompt == [1, 40, 2, 41, 3]
    assert model.prepare(Job(Task.CAPTION, (PICTURE,), length="long")).prompt == [1, 40, 2, 43, 3]
    named = model.prepare(Job(Task.CAPTION, (PICTURE,), "short"))
    assert named.prompt == model.row_builder.query(PICTURE, "short").prompt, "a prompt is no length"
    told = model.prepare(Job(Task.CAPTION, (PICTURE,), "Name it."))
    assert told.prompt == model.row_builder.query(PICTURE, "Name it.").prompt
    assert model.prepare(Job(Task.QUERY, (PICTURE,), "why?")).prompt == model.row_builder.query(PICTURE, "why?").prompt
    assert model.prepare(Job(Task.QUERY, (), "why?")).prompt == model.row_builder.query(None, "why?").prompt


def test_jobs_that_find_things(model: Moondream) -> None:
    asked = model.row_builder
    boxes = model.prepare(Job(Task.DETECT, (PICTURE,), "cat", max_objects=3))
    assert type(boxes) is DetectRow
    assert (boxes.prompt, boxes.max_new_tokens) == (asked.detect(PICTURE, "cat").prompt, 3 * DetectRow.items_per_object)
    points = model.prepare(Job(Task.POINT, (PICTURE,), "cat", max_objects=4))
    assert type(points) is PointRow
    assert (points.prompt, points.max_new_tokens) == (asked.point(PICTURE, "cat").prompt, 4 * PointRow.items_per_object)
    refs = ((0.25, 0.5),)
    gaze = model.prepare(Job(Task.POINT, (PICTURE,), "gaze", spatial_refs=refs))
    assert gaze.prompt == asked.point(PICTURE, "gaze", spatial_refs=refs).prompt


def test_jobs_about_places_and_with_thoughts(model: Moondream) -> None:
    asked, box = model.row_builder, ((0.25, 0.0, 0.75, 1.0),)
    placed = model.prepare(Job(Task.QUERY, (PICTURE,), "what?", spatial_refs=box))
    assert placed.prompt == asked.query(PICTURE, "what?", spatial_refs=box).prompt
    for images in ((PICTURE,), ()):
        thinking = model.prepare(Job(Task.QUERY, images, "what?", reasoning=True))
        assert type(thinking) is ReasoningRow
        assert thinking.prompt == asked.query(images[0] if images else None, "what?", reasoning=True).prompt
    with pytest.raises(errors.InvalidValue) as caught:
        model.prepare(Job(Task.QUERY, (PICTURE,), "what?", spatial_refs=((2.0, 0.0),)))
    assert caught.value.param == "spatial_refs"


def test_jobs_that_it_cannot_do(model: Moondream) -> None:
    with pytest.raises(errors.TaskNotSupported):
        model.prepare(Job(Task.COLLECTIVE, (PICTURE, PICTURE)))
    with pytest.raises(errors.TaskNotSupported):
        model.prepare(Job(Task.QUERY, (PICTURE, PICTURE), "which?"))
    for task in (Task.CAPTION, Task.DETECT, Task.POINT):
        with pytest.raises(errors.InvalidRequest) as caught:
            model.prepare(Job(task, (), "cat"))
        assert caught.value.param == "image"
    with pytest.raises(errors.CorruptImage):
        model.prepare(Job(Task.CAPTION, (PICTURE[:200],)))


def test_pictures_are_seen_upright(model: Moondream) -> None:
    """Unlike by the published code, to which a phone's pictures may lie on their side."""
    upright = Image.linear_gradient("L").resize((40, 64)).convert("RGB")
    turned, exif = upright.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it
    files = []
    for picture, more in ((upright, Image.Exif()), (turned, exif)):
        file = io.BytesIO()
        picture.save(file, "PNG", exif=more)
        files.append(model.row_builder.query(file.getvalue(), "?").image)
    first, second = files
    assert first is not None
    assert second is not None
    vision = model.config.vision
    assert first.crops(vision).pixels.equal(second.crops(vision).pixels)


def test_outcomes(model: Moondream) -> None:
    row = model.row_builder.caption(PICTURE, "normal", TextOptions(6))
    batch = model.prefill([row])
    while row.finish is None:
        model.step(batch)
        model.sample(batch)
    outcome = model.answer(row)
    assert outcome.text == model.tokenizer.decode(row.answer).strip()
    assert (outcome.finish, outcome.new_tokens, outcome.prompt_tokens) == (row.finish, len(row.tokens), 26 + 5)
    found = model.row_builder.detect(PICTURE, "cat", max_objects=1)
    batch = model.prefill([found])
    while found.finish is None:
        model.step(batch)
        model.sample(batch)
    assert model.answer(found).text == ""
    assert len(found.boxes) == 1
