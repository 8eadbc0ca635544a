"""Whatever happens, in any order: what is promised of delivery holds.

By default nodes are reached without a socket, and the database is SQLite; the slow variant has real sockets and
PostgreSQL. Hypothesis makes the examples the same each time where `CI` is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine, create_engine, event

from tests.reliability.model.machine import Shops
from tests.reliability.model.socketless import answer_at_once
from tests.reliability.model.world import Places, places
from tests.support.databases import empty_postgresql
from workmesh_flows.adapters.store.schema import create_own_tables

STEPS = 50


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a few records, so that what may happen between two pages does; no waiting."""
    monkeypatch.setattr("workmesh_flows.operations.delivery.lane_context.PAGE", 4)
    monkeypatch.setattr("workmesh_flows.operations.delivery.fair_queue.SINGLES", 2)
    monkeypatch.setattr("workmesh_flows.operations.delivery.push.SINGLES", 2)
    monkeypatch.setattr("workmesh_flows.operations.delivery.latest_processed.LOOK_SECONDS", 0)


@pytest.fixture
def quick_sqlite(tmp_path: Path) -> Iterator[Engine]:
    """A database in a file that is not synced: connections of their own, as with the real one, and no disk."""
    made = create_engine(f"sqlite:///{tmp_path / 'master.db'}")

    @event.listens_for(made, "connect")
    def hurry(connection: Any, record: object) -> None:
        for pragma in ("journal_mode=MEMORY", "synchronous=OFF", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    create_own_tables(made)
    yield made
    made.dispose()


def check(there: Places, examples: int) -> None:
    run_state_machine_as_test(
        type("ShopsHere", (Shops,), {"places": there}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),  # a loaded machine is slow, and that is no fault
        ),
    )


@pytest.mark.parametrize("examples", [80, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)  # a failing example is made smaller for up to five minutes
def test_what_is_promised_holds_whatever_happens(
    quick_sqlite: Engine, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    with places(quick_sqlite) as there:
        answer_at_once(monkeypatch, there)
        check(there, examples)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_what_is_promised_holds_whatever_happens_on_postgresql(postgresql_server: str) -> None:
    with empty_postgresql(postgresql_server) as url:
        made = create_engine(url)
        create_own_tables(made)
        try:
            with places(made) as there:
                check(there, 2_000)
        finally:
            made.dispose()
