"""The models as OpenAI's clients list them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from looksee.models.registry import ALIASES, REGISTRY
from tests.http.app import Doors, content, error
from tests.support.loops import run


def get(path: str) -> httpx.Response:
    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Doors().app), base_url="http://looksee") as client:
            return await client.get(path)

    return run(main())


def card(name: str) -> dict[str, Any]:
    answer = get(f"/v1/models/{name}")
    assert answer.status_code == 200
    found: dict[str, Any] = content(answer)
    return found


@pytest.mark.parametrize("name", [*REGISTRY, *ALIASES])
def test_every_name_that_the_chat_takes_has_a_card(name: str) -> None:
    assert card(name) == {**card(ALIASES.get(name, name)), "id": name}
    said = {"model": name, "messages": [{"role": "user", "content": "Who?"}]}
    assert error_code(Doors().send("/v1/chat/completions", json=said)) != "unknown_model"


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
