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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server's API."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from workmesh_flows.demo.server import prefect_server

    home = tmp_path_factory.mktemp("prefect")
    with temporary_settings({PREFECT_API_URL: None}), prefect_server(home) as api:
        yield api


@pytest.fixture
def prefect(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Prefect server without nodes, results in a folder of the test's, and no long waits."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOCAL_STORAGE_PATH,
        temporary_settings,
    )

    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_LANE_RETRY_SECONDS", "0.05")
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_LANE_RETRIES", "1")
    monkeypatch.chdir(tmp_path)  # settings are looked for in the working directory too
    with temporary_settings(
        {
            PREFECT_API_URL: server,
            PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results",
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        }
    ):
        _forget_nodes()
        yield server
        _forget_nodes()
        _forget_automations()


def _forget_nodes() -> None:
    from prefect.client.orchestration import get_client

    from workmesh_flows.inventory import SLUG, load_inventory

    with get_client(sync_client=True) as client:
        for name in {*load_inventory().nodes, *load_inventory().problems}:
            client.delete_block_document(client.read_block_document_by_name(name, SLUG).id)


def _forget_automations() -> None:
    """Ours: they would go on telling of what other tests do."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for found in client.read_automations():
            if found.name.startswith("Workmesh: "):
                client.delete_automation(found.id)
