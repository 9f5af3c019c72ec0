"""The models as OpenAI's clients list them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from looksee.http.inputs.model_path import known_names
from looksee.models.registry import REGISTRY, also_known_as, resolved
from tests.http.app import Doors, content, error
from tests.support.loops import run


def get(path: str, doors: Doors | None = None) -> httpx.Response:
    app = (doors or Doors()).app

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://looksee") as client:
            return await client.get(path)

    return run(main())


def card(name: str) -> dict[str, Any]:
    answer = get(f"/v1/models/{name}")
    assert answer.status_code == 200
    found: dict[str, Any] = content(answer)
    return found


@pytest.mark.parametrize("name", known_names())
def test_every_name_that_the_chat_takes_has_a_card(name: str) -> None:
    assert card(name) == {**card(resolved(name)), "id": name}
    said = {"model": name, "messages": [{"role": "user", "content": "Who?"}]}
    assert error_code(Doors().send("/v1/chat/completions", json=said)) != "model_not_found"


@pytest.mark.parametrize("path", ["google/gemma-3-4b-it", "google%2Fgemma-3-4b-it"])
def test_a_hub_id_may_be_escaped(path: str) -> None:
    assert card(path) == {**card("gemma"), "id": "google/gemma-3-4b-it"}


def test_a_card_tells_the_context_and_the_other_names() -> None:
    found = card("moondream")
    assert found["max_model_len"] == 2048
    assert {"vikhyatk/moondream2", "moondream2", "moondream3-preview"} <= set(found["names"])
    assert card("gemma")["max_model_len"] == 131_072


def test_an_operators_names_have_cards() -> None:
    also_known_as({"gpt-4o (here)": "gemma"})
    try:
        doors = Doors(env="another app")  # whose routes are made now
        assert get("/v1/models/gpt-4o (here)", doors).json() == {**card("gemma"), "id": "gpt-4o (here)"}
        assert "gpt-4o (here)" in get("/v1/models/gemma", doors).json()["names"]
    finally:
        also_known_as({})
    assert get("/v1/models/gpt-4o").status_code == 404


def test_other_names_are_in_no_list() -> None:
    assert [one["id"] for one in content(get("/v1/models"))["data"]] == list(REGISTRY)


@pytest.mark.parametrize("name", ["moondream9", "moondream2x", "gpt-4o", "MOONDREAM2"])
def test_any_other_name_has_none(name: str) -> None:
    assert get(f"/v1/models/{name}").status_code == 404


@pytest.mark.parametrize("path", ["load", "unload"])
def test_admins_call_a_model_by_its_own_name(path: str) -> None:
    doors = Doors(debug=True)
    assert doors.send(f"/api/admin/models/moondream2/{path}").status_code == 404


def error_code(answer: httpx.Response) -> str | None:
    return None if answer.status_code == 200 else error(answer)[1]
