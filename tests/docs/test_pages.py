"""Every code block of the documentation is run and its output compared."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, blocks_of
from tests.docs.running import KINDS, MAIN, Reader, new_main
from tests.docs.shell import Shell, forget_modules
from tests.docs.stages import SERVER, STAGES, fresh, nothing
from tests.support.databases import empty_postgresql
from workmesh_flows.adapters.store.schema import place_own_tables

NOT_RUN = {
    "README.md": 3,
    "docs/assignment.md": 2,
    "docs/deploying.md": 3,
    "docs/index.md": 2,
    "docs/postgresql.md": 2,
    "docs/scripting.md": 1,
    "docs/testing.md": 1,
    "docs/tutorial.md": 1,
}
"""Number of blocks per page that no test runs; a comment above each gives the reason."""


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def reader(
    request: pytest.FixtureRequest, prefect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reader]:
    """A reader in an empty folder, with a Prefect server."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", prefect)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / ".prefect"))
    fresh(prefect)
    module, known = new_main(), set(sys.modules)
    paths = os.pathsep.join((str(tmp_path), str(ROOT)))
    # The pages show what a terminal of this width shows.
    shell = Shell(tmp_path, {**os.environ, "PYTHONPATH": paths, "COLUMNS": "120"})
    with ExitStack() as stage:
        stage.callback(shell.close)
        stage.callback(
            place_own_tables, None
        )  # a page may set the schema; the shell runs commands in this process

        def postgresql() -> str:
            server = request.getfixturevalue("postgresql_server")
            return stage.enter_context(empty_postgresql(server))

        server = prefect.removesuffix("/api")
        start = "prefect server start >"
        replaced = {SERVER: server, start: f"{start[:-1]}--port {server.rpartition(':')[2]} >"}
        yield Reader(tmp_path, module, shell, stage, postgresql, replaced=replaced)
    fresh(prefect)
    forget_modules(known, tmp_path)
    del sys.modules[MAIN]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # of Prefect's notification library
@pytest.mark.parametrize("page", [page for page in PAGES if list(blocks_of(page))], ids=named)
def test_a_page_shows_real_output(page: Path, reader: Reader) -> None:
    STAGES.get(named(page), nothing)(reader)
    for block in blocks_of(page):
        reader.run(block)


def test_every_block_is_run_or_has_a_reason_why_not() -> None:
    found: Counter[str] = Counter()
    for page in PAGES:
        for block in blocks_of(page):
            assert block.not_run or block.language in KINDS, f"{block}: unknown language"
            found[named(page)] += bool(block.not_run)
    assert {page: number for page, number in found.items() if number} == NOT_RUN
