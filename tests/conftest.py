from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, event

from tests.support.databases import KINDS, PREPARED, empty_postgresql, running_postgresql
from workmesh_flows.adapters.schema import create_own_tables


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a running PostgreSQL server."""
    with running_postgresql() as address:
        yield address


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, once of each kind; in that of `engine` our own tables are."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'master.db'}"
        return
    template = PREPARED if "engine" in request.fixturenames else "template1"
    with empty_postgresql(request.getfixturevalue("postgresql_server"), template) as url:
        yield url


TWICE_IF_SLOW = ("tests/operations/test_drain_crashes.py::test_a_drain",)
"""Tests that take long and run on one kind of database only, but for the slow run."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The second time of a long test is slow."""
    for item in items:
        if item.nodeid.startswith(TWICE_IF_SLOW) and "[postgresql" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An empty database with our own tables, once of each kind."""
    made = create_engine(database_url, poolclass=NullPool)
    if made.dialect.name == "sqlite":
        event.listen(made, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
        create_own_tables(made)
    yield made
    made.dispose()
