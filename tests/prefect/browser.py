"""A real browser for tests of the UI: Debian's Chromium, or what CHROMIUM names; skipped where there is none, but not in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

SHOTS = os.environ.get("WORKMESH_SCREENSHOTS")
"""A folder to keep screenshots in, where one is named."""


@contextmanager
def chromium_page(api: str) -> Iterator[Page]:
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
        context = browser.new_context(base_url=f"{address}/v2/", viewport={"width": 1400, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(20_000)
        try:
            yield page
        finally:
            browser.close()


def shot(page: Page, name: str) -> None:
    """Keep how the page looks."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)
