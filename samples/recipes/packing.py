"""Several exercises about the same pictures as one sequence, and where their prompts say what is to be answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from looksee.core.tasks import Task
from samples.recipes.tower import IGNORED
from samples.world.exercises import Exercise

Hint = tuple[int, int]  # a place in a prompt, and the token that is to be thought of there


def after_question(
    exercise: Exercise, ids: Callable[[Exercise], list[int]], answer: Callable[[Exercise], list[int]]
) -> Hint | None:
    """The place behind the user's words of an exercise in JSON, and the first token of their answer in words.

    A model that answers questions finds the answer there, from where it is easily taken into the JSON. Without this
    answers of yes or no, and `true` and `false`, stayed at chance for 1,900 steps.
    """
    if not exercise.said:
        return None
    words, *_ = exercise.words.split("\n\n")
    plain = replace(exercise, task=Task.QUERY, words=words, answer=exercise.said)
    pairs = zip(ids(exercise), ids(plain), strict=False)
    place = next(number for number, (one, other) in enumerate(pairs) if one != other)
    return place, answer(plain)[0]


def packed(
    pairs: Sequence[tuple[list[int], list[int]]], hints: Sequence[Hint | None]
) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Ids, positions, targets, part numbers (0: the beginning) and hinted tokens of (prompt, answer) pairs."""
    prompts = [prompt for prompt, _ in pairs]
    shared = 0
    # At least one token of each prompt stays with its own part, to say the answer's first one.
    while shared < min(map(len, prompts)) - 1 and len({prompt[shared] for prompt in prompts}) == 1:
        shared += 1
    ids, positions = prompts[0][:shared], list(range(shared))
    targets, parts, hinted = [IGNORED] * shared, [0] * shared, [IGNORED] * shared
    for number, ((prompt, answer), hint) in enumerate(zip(pairs, hints, strict=True), start=1):
        own = [*prompt[shared:], *answer]
        ids += own[:-1]
        positions += range(shared, shared + len(own) - 1)
        targets += [IGNORED] * (len(own) - 1 - len(answer)) + answer
        parts += [number] * (len(own) - 1)
        hinted += [IGNORED] * (len(own) - 1)
        if hint and hint[0] >= shared:
            hinted[hint[0] - shared - len(own) + 1] = hint[1]
    return ids, positions, targets, parts, hinted
