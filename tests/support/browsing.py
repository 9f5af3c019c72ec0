"""What a person does with the page, for the tests that drive it in a real browser."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from playwright.sync_api import FilePayload, Locator, Page

from looksee.core.tasks import Task
from looksee.models.registry import REGISTRY
from looksee.models.weights.source import SAMPLES

PATIENCE_MS = 60_000  # the first answer waits for the weights
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Names for this machine: over plain http a browser treats them as it treats any host of a network.
    "--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.example 127.0.0.1",
)


def _file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": content}


def transfer(page: Page, event: str, carrier: str, *files: tuple[str, bytes]) -> None:
    """Dispatch a drop or paste of `files` on the page's body, as the browser itself does it."""
    page.evaluate(
        """([event, kind, carrier, files]) => {
            const transfer = new DataTransfer();
            for (const [name, content] of files) {
                const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
                transfer.items.add(new File([bytes], name, { type: "image/png" }));
            }
            const Kind = window[kind];
            document.body.dispatchEvent(
                new Kind(event, { bubbles: true, cancelable: true, [carrier]: transfer })
            );
        }""",
        [
            event,
            "DragEvent" if event == "drop" else "ClipboardEvent",
            carrier,
            [[name, base64.b64encode(content).decode()] for name, content in files],
        ],
    )


def drop(page: Page, *files: tuple[str, bytes]) -> None:
    transfer(page, "drop", "dataTransfer", *files)


def choose(page: Page, *files: tuple[str, bytes]) -> None:
    page.locator("#files").set_input_files([_file(name, content) for name, content in files])


def card_of(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


def able(task: Task) -> list[str]:
    """The models that have a task and whose sample weights are here."""
    return [
        name
        for name, entry in REGISTRY.items()
        if task in entry.tasks and (SAMPLES / name / "model.safetensors").is_file()
    ]


def model_of(page: Page, name: str) -> Locator:
    return page.locator(f"#models input[value={name}]")


def tile_of(page: Page, name: str) -> Locator:
    return page.locator(".tile").filter(has=page.locator(f"input[value={name}]"))


def mode_of(page: Page, title: str) -> Locator:
    return page.get_by_role("radio", name=title, exact=True)


def press_run(page: Page) -> None:
    page.locator("#run").click()


def saved(page: Page, kind: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Download results as {kind}").click()
    return Path(download.value.path()).read_text(encoding="utf-8-sig")


def answered(page: Page, path: str, content: object, *, status: int = 200, times: int | None = None) -> None:
    """Let `path` answer `content` in the service's place."""
    exactly = re.compile(rf"^https?://[^/]+{re.escape(path)}(\?|$)")
    page.route(exactly, lambda route: route.fulfill(status=status, json=content), times=times)
