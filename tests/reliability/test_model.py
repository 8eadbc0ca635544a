"""The guarantees of delivery hold for random sequences of events.

By default, requests reach the nodes without a socket, and the database is SQLite; the slow variant uses real sockets
and PostgreSQL. With `CI` set, Hypothesis generates the same examples each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine, create_engine, event

from tests.reliability.model.environment import Environment, open_environment
from tests.reliability.model.machine import Shops
from tests.reliability.model.socketless import answer_without_sockets
from tests.support.databases import empty_postgresql
from workmesh_flows.adapters.store.own_tables import create_own_tables

STEPS = 50


@pytest.fixture(autouse=True)
def small_pages_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a few records, so that events happen between two pages; no waits."""
    monkeypatch.setattr("workmesh_flows.operations.delivery.lane_context.PAGE", 4)
    monkeypatch.setattr("workmesh_flows.operations.delivery.fair_queue.SINGLES", 2)
    monkeypatch.setattr("workmesh_flows.operations.delivery.push.SINGLES", 2)
    monkeypatch.setattr("workmesh_flows.operations.delivery.latest_processed.LOOK_SECONDS", 0)


@pytest.fixture
def unsynced_sqlite(tmp_path: Path) -> Iterator[Engine]:
    """A database file that is not synced: separate connections, as in practice, but no waits for the disk."""
    made = create_engine(f"sqlite:///{tmp_path / 'master.db'}")

    @event.listens_for(made, "connect")
    def configure(connection: Any, record: object) -> None:
        for pragma in ("journal_mode=MEMORY", "synchronous=OFF", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    create_own_tables(made)
    yield made
    made.dispose()


def check(environment: Environment, examples: int) -> None:
    run_state_machine_as_test(
        type("ShopsInEnvironment", (Shops,), {"environment": environment}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),  # slowness on a busy machine is no failure
        ),
    )


@pytest.mark.parametrize("examples", [80, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)  # Hypothesis shrinks a failing example for up to five minutes
def test_the_guarantees_hold_for_random_events(
    unsynced_sqlite: Engine, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    with open_environment(unsynced_sqlite) as environment:
        answer_without_sockets(monkeypatch, environment)
        check(environment, examples)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_guarantees_hold_for_random_events_on_postgresql(postgresql_server: str) -> None:
    with empty_postgresql(postgresql_server) as url:
        made = create_engine(url)
        create_own_tables(made)
        try:
            with open_environment(made) as environment:
                check(environment, 2_000)
        finally:
            made.dispose()
