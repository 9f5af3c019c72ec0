"""The status page: what /metrics says, drawn as it comes, and what an admin may do."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.pictures import scene
from tests.support.serving import API_KEY, Service

PICTURES = 24


@pytest.fixture
def page(page: Page) -> Page:
    page.goto("/status")
    expect(row_of(page, "blip")).to_be_visible()
    return page


def row_of(page: Page, model: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=model, exact=True))


def chart_of(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=title, exact=True))


def caption(service: Service, name: str) -> int:
    """Have BLIP caption some scenes at once."""

    def one(number: int) -> int:
        files = {"file": scene(f"{name}-{number}")[0]}
        return httpx.post(f"{service.url}/upload/caption", files=files, data={"model": "blip"}, timeout=60).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(one, range(PICTURES))) == {200}
    return PICTURES


def enter_key(page: Page, key: str) -> None:
    page.get_by_role("button", name="Admin…").click()
    page.get_by_role("textbox", name="Key").fill(key)
    page.get_by_role("button", name="Use this key").click()


def test_it_shows_what_the_metrics_say(page: Page, service: Service) -> None:
    steps = {part: f"looksee_batch_rows_{part}" for part in ("sum", "count")}
    before = {part: service.metric(name, model="blip") for part, name in steps.items()}
    expect(chart_of(page, "Rows running").locator(".now")).to_have_text("0")
    caption(service, "status")
    gained = {part: service.metric(name, model="blip") - before[part] for part, name in steps.items()}
    rows = gained["sum"] / gained["count"]
    row = row_of(page, "blip")
    expect(row.locator(".word")).to_have_text("ready")
    expect(row.locator(".rows")).to_have_text(str(int(rows)) if rows == int(rows) else f"{rows:.1f}")
    expect(chart_of(page, "Rows in a step").locator(".now")).to_have_text(re.compile(r"^[\d.]+$"))
    expect(chart_of(page, "New tokens").locator(".now")).to_have_text(re.compile(r"^[\d.,]+/s$"))
    expect(chart_of(page, "Time to first token").locator(".now")).to_have_text(re.compile(r"^[\d.]+ m?s$"))
    assert chart_of(page, "New tokens").locator("polyline").get_attribute("points")
    expect(row.locator(".running")).to_have_text("0")
    expect(row.locator(".waiting")).to_have_text("0")


def test_who_is_no_admin_sees_neither_memory_nor_buttons(page: Page) -> None:
    expect(page.get_by_role("columnheader", name="Memory")).to_have_count(0)
    expect(page.get_by_role("button", name="Load")).to_have_count(0)
    expect(page.get_by_role("button", name="Empty the cache…")).to_have_count(0)


def test_a_wrong_key_is_told_and_forgotten(page: Page) -> None:
    enter_key(page, "wrong")
    expect(page.get_by_role("status")).to_contain_text("The key in X-API-Key is not the service's.")
    expect(page.get_by_role("button", name="Admin…")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Memory")).to_have_count(0)


def test_an_admin_unloads_and_loads_after_a_question(page: Page, service: Service) -> None:
    enter_key(page, API_KEY)
    row = row_of(page, "moondream")
    load, unload = (row.get_by_role("button", name=f"{act} moondream", exact=True) for act in ("Load", "Unload…"))
    expect(row.locator(".act")).to_be_visible()
    if load.is_visible():
        load.click()
    unload.click()
    page.get_by_role("dialog", name="Unload moondream?").get_by_role("button", name="Cancel").click()
    expect(row.locator(".word")).to_have_text("ready")
    unload.click()
    page.get_by_role("dialog", name="Unload moondream?").get_by_role("button", name="Unload", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("moondream is unloaded.")
    expect(row.locator(".word")).to_have_text("not loaded")
    assert service.client.get("/health").json()["models"]["moondream"] == "unloaded"
    load.click()
    expect(page.get_by_role("status")).to_have_text("moondream is loaded.")
    expect(row.locator(".word")).to_have_text("ready")
    expect(row.locator(".memory")).to_have_text(re.compile(r"^\d+ MiB$"))


def test_an_admin_empties_the_cache_after_a_question(page: Page, service: Service) -> None:
    data: dict[str, Any] = {"files": {"file": scene("status-cache")[0]}, "data": {"model": "blip"}}
    for cached in (False, True):
        assert service.client.post("/upload/caption", **data).json()["cache"] is cached
    enter_key(page, API_KEY)
    page.get_by_role("button", name="Empty the cache…").click()
    page.get_by_role("dialog", name="Empty the cache?").get_by_role("button", name="Cancel").click()
    assert service.client.post("/upload/caption", **data).json()["cache"] is True
    page.get_by_role("button", name="Empty the cache…").click()
    page.get_by_role("dialog", name="Empty the cache?").get_by_role("button", name="Empty it").click()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^The cache is empty: \d+ forgotten\.$"))
    assert service.client.post("/upload/caption", **data).json()["cache"] is False
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_role("columnheader", name="Memory")).to_have_count(0)


def test_metrics_that_need_a_key_ask_for_it_once(browser: Browser, service: Service) -> None:
    context = browser.new_context(base_url=service.url)
    page = context.new_page()

    def answer(route: Route) -> None:
        if route.request.headers.get("x-api-key") == "watch":
            route.fallback()
        else:
            route.fulfill(status=401, json={"error": {"code": "missing_key", "message": "Send a key of this service."}})

    page.route("**/metrics", answer)
    page.goto("/status")
    dialog = page.get_by_role("dialog", name="The metrics of this service ask for a key")
    dialog.get_by_role("textbox", name="Key").fill("watch")
    dialog.get_by_role("button", name="Use this key").click()
    expect(row_of(page, "blip")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    context.close()


def test_a_service_that_is_away_is_told_until_it_is_back(page: Page) -> None:
    page.route("**/health", lambda route: route.abort())
    expect(page.get_by_role("alert")).to_have_text("The service does not answer right now. This page keeps trying.")
    page.unroute("**/health")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_two_hours_are_kept_and_a_peak_stays_in_sight(page: Page) -> None:
    """Of two hours 240 points are drawn, and each is the largest of its time."""
    kept, points, highest = page.evaluate(
        """async () => {
            const { History } = await import("/ui/status/history.js");
            const { draw } = await import("/ui/status/chart.js");
            const history = new History();
            for (let second = 0; second <= 9000; second += 2) {
              history.add(second * 1000, { a: second === 5002 ? 9 : 1 });
            }
            const found = history.last("a", 7200);
            const svg = document.querySelector("svg.line");
            draw(svg, found, 7200, 9);
            const drawn = svg.querySelector("polyline").getAttribute("points").split(" ");
            return [found.length, drawn.length, Math.min(...drawn.map((point) => Number(point.split(",")[1])))];
        }"""
    )
    assert kept == 3601
    assert points <= 241
    assert highest == 2


def test_a_counter_that_begins_anew_is_no_negative_rate(page: Page) -> None:
    """As after a runner was replaced."""
    found = page.evaluate(
        """async () => {
            const { ofService } = await import("/ui/status/figures.js");
            const { Samples } = await import("/ui/status/metrics.js");
            const counted = (tokens) => new Samples(`looksee_new_tokens_total{model="a"} ${tokens}`);
            const at = (time, tokens) => ({ time, samples: counted(tokens) });
            return [ofService([at(0, 100), at(4000, 140)]).tokens, ofService([at(0, 100), at(4000, 3)]).tokens];
        }"""
    )
    assert found == [10, 0]
