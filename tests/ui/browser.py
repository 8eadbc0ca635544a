"""A real browser for tests of the UI: Debian's Chromium, or what CHROMIUM names; skipped where there is none, but not in CI.

While it is open an event loop runs, in which Prefect's own calls would have to be awaited: they come before and after.
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
"""A folder to keep screenshots in, where one is named."""
WIDTH, HEIGHT = 1400, 1000
TRIES = 5
PATIENCE = 30_000
"""Milliseconds."""
expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium_page(api: str, *, dark: bool = False) -> Iterator[Page]:
    """A page on the newer UI of the Prefect server with this API."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing = "there is no Chromium: install Debian's package chromium, or set CHROMIUM"
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
        context.route(f"{SITE}/assets/logo.png", lambda route: route.fulfill(path=LOGO))  # published or not
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        try:
            yield page
        finally:
            browser.close()


def shot(page: Page, name: str, *, height: int = HEIGHT) -> None:
    """Keep how the page looks, so many pixels of it from the top."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.wait_for_timeout(500)  # pictures and charts are drawn anew
        page.screenshot(path=Path(SHOTS) / f"{name}.png")
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


LOGO = Path(__file__).parents[2] / "docs" / "assets" / "logo.png"
VERSION = re.compile(r"^[0-9a-f]{8}$")


def submit_run(page: Page) -> str:
    """Press Submit on the form of a run until the server takes it; the id of the run.

    The server says 503 where another one wrote to its SQLite at that moment, and the form stays as it is.
    """
    for _ in range(TRIES):
        with page.expect_response(re.compile("create_flow_run")) as answer:
            page.get_by_role("button", name="Submit").click()
        if answer.value.status != HTTPStatus.SERVICE_UNAVAILABLE:
            break
    assert answer.value.ok, answer.value.text()
    return str(answer.value.json()["id"])


def open_newest(page: Page) -> int:
    """Open the newest version of an artifact from the page of its history; the number of versions."""
    versions = page.get_by_role("link", name=VERSION)
    expect(versions.first).to_be_visible()
    number = versions.count()
    versions.first.click()
    return number


def show_our_events(page: Page) -> None:
    """The event feed, with what came from the mesh alone."""
    # The feed ends at the last full minute, as the browser's clock has it.
    page.clock.set_fixed_time(datetime.now(UTC) + timedelta(minutes=2))
    page.goto("events")
    page.get_by_role("button", name="Filter by event type").click()
    page.get_by_role("option", name="workmesh.*", exact=True).click()
    page.keyboard.press("Escape")


def read_rows(page: Page) -> list[dict[str, str]]:
    """The rows of the table of an artifact that is open."""
    table = page.locator("table").first
    expect(table.locator("tbody tr").first).to_be_visible()
    names = table.locator("thead th").all_inner_texts()
    rows = table.locator("tbody tr").all()
    return [dict(zip(names, row.locator("td").all_inner_texts(), strict=True)) for row in rows]
