from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, NullPool, create_engine, event

from tests.support.databases import KINDS, PREPARED, empty_postgresql, running_postgresql
from workmesh_flows.adapters.store.own_tables import create_own_tables

if TYPE_CHECKING:
    from tests.support.fleet import Fleet


os.environ.pop("COLUMNS", None)  # set by pytest-xdist: tables would be narrower than in a run without it


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a running PostgreSQL server."""
    with running_postgresql() as address:
        yield address


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of each kind; with the fixture `engine` it has the Workmesh tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'master.db'}"
        return
    template = PREPARED if "engine" in request.fixturenames else "template1"
    with empty_postgresql(request.getfixturevalue("postgresql_server"), template) as url:
        yield url


SLOW_ON_POSTGRESQL = ("tests/operations/moves/test_drain_crashes.py::test_a_drain",)
"""Long tests, which `make test` runs on SQLite only."""
SLOW_ON_SQLITE = (
    "blocks",
    "cli",
    "flows",
    "inventory",
    "observability",
    "runs",
    "tasks",
    "ui",
    "test_assignment.py",
)
"""Tests of floor 3, which `make test` runs on PostgreSQL only: databases differ on floor 2."""


LONGEST = ("test_model.py", "test_operating.py", "test_crash_sweep.py", "test_demo.py")
"""Files that run first, so that at the end no worker waits for the long file of another one."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; mark tests as slow that repeat on a second database."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    for item in items:
        if item.nodeid.startswith(SLOW_ON_POSTGRESQL) and "[postgresql" in item.name:
            item.add_marker(pytest.mark.slow)
        if item.path.relative_to(HERE).parts[0] in SLOW_ON_SQLITE and "[sqlite" in item.name:
            item.add_marker(pytest.mark.slow)


HERE = Path(__file__).parent
NOBODY = Path(__file__).parent / "support" / "nobody.pem"
"""The certificate of an authority that has signed nothing."""


def pytest_configure() -> None:
    """Trust no real authority: no test uses the internet, and reading all of them takes each client 20 ms."""
    os.environ["SSL_CERT_FILE"] = str(NOBODY)


def pytest_collection_finish() -> None:
    """Exclude imported objects from garbage collection, which would scan them again and again."""
    gc.freeze()


@pytest.fixture
def engine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Engine]:
    """An empty database of each kind with the Workmesh tables."""
    made = create_engine(database_url, poolclass=NullPool)
    if made.dialect.name == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_with_own_tables"), str(made.url.database))
        event.listen(made, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
    yield made
    made.dispose()


@pytest.fixture
def fleet(prefect: str, engine: Engine) -> Fleet:
    """The shop's mesh on an empty database, without nodes."""
    from tests.support.fleet import Fleet
    from tests.support.shop import shop_service
    from workmesh_flows import Mesh

    del prefect
    return Fleet(Mesh([shop_service()], database=lambda: engine), engine)


@pytest.fixture
def postgresql(postgresql_server: str) -> Iterator[Engine]:
    """An empty PostgreSQL database with the Workmesh tables, for behaviour that only PostgreSQL has."""
    with empty_postgresql(postgresql_server) as url:
        engine = create_engine(url)
        create_own_tables(engine)
        yield engine
        engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    """An empty SQLite database with the Workmesh tables, for behaviour that only SQLite has."""
    engine = create_engine(f"sqlite:///{tmp_path / 'master.db'}")
    create_own_tables(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_with_own_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the Workmesh tables, to be copied."""
    path = tmp_path_factory.mktemp("prepared") / "master.db"
    made = create_engine(f"sqlite:///{path}")
    create_own_tables(made)
    made.dispose()
    return path


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
    """A Prefect server without nodes, with results in the test's folder, and with short waits."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOCAL_STORAGE_PATH,
        temporary_settings,
    )

    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_LANE_RETRY_SECONDS", "0.05")
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_LANE_RETRIES", "1")
    monkeypatch.chdir(tmp_path)  # settings are read from the working directory too
    with temporary_settings(
        {
            PREFECT_API_URL: server,
            PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results",
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        }
    ):
        _delete_nodes_and_automations()
        yield server


def _delete_nodes_and_automations() -> None:
    """Delete the nodes and Workmesh automations of earlier tests, which would react to later tests."""
    from prefect.client.orchestration import get_client

    from workmesh_flows.inventory.documents import document_ids

    with get_client(sync_client=True) as client:
        for document in document_ids().values():
            client.delete_block_document(document)
        for found in client.read_automations():
            if found.name.startswith("Workmesh: "):
                client.delete_automation(found.id)
