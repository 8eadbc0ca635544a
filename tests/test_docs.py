"""What the documentation shows is run, so that it stays true."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[1] / "docs").rglob("*.md"))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if ">>>" in page.read_text()], ids=lambda page: page.name
)
def test_a_page_shows_what_happens(page: Path) -> None:
    ran = doctest.testfile(str(page), module_relative=False)
    assert ran.attempted > 0
    assert ran.failed == 0
