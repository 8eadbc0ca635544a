"""A real browser for tests of the UI: Debian's Chromium, or the program that CHROMIUM names. Without it, tests are
skipped, but fail in CI.

While the browser is open an event loop runs, in which Prefect's own functions would return coroutines: call them before
or after.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from workmesh_flows.blocks.node import SITE

SHOTS = os.environ.get("WORKMESH_SCREENSHOTS")
"""Folder for screenshots; without it none are taken."""
WIDTH, HEIGHT = 1400, 1000
SUBMIT_ATTEMPTS = 5
TIMEOUT = 30_000
"""Milliseconds."""
expect.set_options(timeout=TIMEOUT)


@contextmanager
def chromium_page(api: str, *, dark: bool = False) -> Iterator[Page]:
    """A page in the v2 UI of the Prefect server with this API address."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing = "Chromium not found: install Debian's package chromium, or set CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        address = api.removesuffix("/api")
        context = browser.new_context(
            base_url=f"{address}/v2/",
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="dark" if dark else "light",
        )
        context.route(
            f"{SITE}/assets/logo.png", lambda route: route.fulfill(path=LOGO)
        )  # also while it is not published
        page = context.new_page()
        page.set_default_timeout(TIMEOUT)
        try:
            yield page
        finally:
            browser.close()


def shot(page: Page, name: str, *, height: int = HEIGHT) -> None:
    """Save a screenshot of the top of the page, ``height`` pixels high."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.wait_for_timeout(500)  # until images and charts are drawn again
        page.screenshot(path=Path(SHOTS) / f"{name}.png")
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


LOGO = Path(__file__).parents[2] / "docs" / "assets" / "logo.png"
VERSION = re.compile(r"^[0-9a-f]{8}$")


def submit_run(page: Page) -> str:
    """Press Submit on the form of a run until the server accepts it; return the id of the run.

    The server answers 503 while another request writes to its SQLite database; the form then stays open.
    """
    for _ in range(SUBMIT_ATTEMPTS):
        with page.expect_response(re.compile("create_flow_run")) as answer:
            page.get_by_role("button", name="Submit").click()
        if answer.value.status != HTTPStatus.SERVICE_UNAVAILABLE:
            break
    assert answer.value.ok, answer.value.text()
    return str(answer.value.json()["id"])


def open_newest(page: Page) -> int:
    """Open the newest version of an artifact from the page of its history; return the number of versions."""
    versions = page.get_by_role("link", name=VERSION)
    expect(versions.first).to_be_visible()
    number = versions.count()
    versions.first.click()
    return number


def show_mesh_events(page: Page) -> None:
    """Open the event feed with only the events of the mesh."""
    # The feed ends at the last full minute of the browser's clock, so move that clock forward.
    page.clock.set_fixed_time(datetime.now(UTC) + timedelta(minutes=2))
    page.goto("events")
    page.get_by_role("button", name="Filter by event type").click()
    page.get_by_role("option", name="workmesh.*", exact=True).click()
    page.keyboard.press("Escape")


def read_rows(page: Page, *headings: str) -> list[dict[str, str]]:
    """The rows of the table of the open artifact, once it has these headings: the table of the page before may show yet."""
    table = page.locator("table").first
    for heading in headings:
        expect(table.get_by_role("columnheader", name=heading, exact=True)).to_be_visible()
    expect(table.locator("tbody tr").first).to_be_visible()
    names, rows = table.locator("thead th").all_inner_texts(), table.locator("tbody tr").all()
    return [dict(zip(names, row.locator("td").all_inner_texts(), strict=True)) for row in rows]
