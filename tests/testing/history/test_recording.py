"""The events that are recorded from a master's database and from reports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session

from tests.operations.delivery.parcels import parcel_id, parcel_service, write_parcels
from tests.support.shop import START, Order, shop_mesh, write_orders, write_shops
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.adapters.store.schema import moves, parked
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.testing import (
    EntityMoved,
    Event,
    History,
    LaneReported,
    RecordExists,
    RecordState,
    read_history,
    record_records,
    record_report,
    record_state,
)
from workmesh_flows.testing.history.snapshot import as_id, as_sort

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.jsonl") as made:
        yield made


def written(history: History) -> list[Event]:
    return list(read_history(history.path))


def states(history: History) -> dict[object, RecordState]:
    return {event.id: event for event in written(history) if isinstance(event, RecordState)}


def test_records_are_recorded_with_their_owner_and_sort_value(engine: Engine, history: History) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1, None])
    record_records(history, engine, shop_mesh(), written=5.5)
    assert written(history) == [
        RecordExists(service="shop.orders", protocol="order", id=number, owner=owner, sort=sort, written=5.5)
        for number, owner, sort in (
            (1, 1, "2026-03-01T12:00:01.000000+00:00"),
            (2, None, "2026-03-01T12:00:02.000000+00:00"),
        )
    ]


def test_keys_are_recorded_as_the_http_contract_encodes_them(engine: Engine, history: History) -> None:
    write_parcels(engine, [3, 1])
    record_state(history, engine, Mesh([parcel_service()]))
    first, second = states(history).values()
    assert (first.id, second.id) == (str(parcel_id(1)), str(parcel_id(3)))
    assert (first.place, second.place) == (0, 1)
    assert first.owner == "0a1b2c3d-0000-4000-8000-00000000abcd"


def test_the_current_flags_are_recorded(engine: Engine, history: History) -> None:
    write_shops(engine, ["n1", None])
    write_orders(engine, [1, 1, 2])
    flags = {"push_success": True, "push_time": MOMENT, "pull_success": False}
    with Session(engine) as session:
        session.execute(update(Order).where(Order.id == 1).values(flags))
        session.commit()
    record_state(history, engine, shop_mesh())
    found = states(history)
    assert (found[1].push_success, found[1].push_time, found[1].pulls, found[1].pull_success) == (
        True,
        MOMENT.timestamp(),
        True,
        False,
    )
    assert (found[2].push_success, found[2].push_time, found[2].node) == (None, None, "n1")
    assert found[3].node is None


@pytest.mark.parametrize(
    ("state", "recorded"),
    [
        ("trying", [None, None, None, None]),
        ("parked", ["behind", "parked", "behind", None]),
        ("skipped", [None, "skipped", None, None]),
        ("blocking", ["behind", "blocking", "behind", "behind"]),
    ],
)
def test_parked_records_and_those_that_wait_behind_them_are_recorded_as_such(
    engine: Engine, history: History, state: str, recorded: list[str | None]
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 1, 1, 2])
    row = {"service": "shop.orders", "protocol": "order", "record": "2", "owner": "1", "state": state}
    with engine.begin() as connection:
        connection.execute(insert(parked).values(**row, attempts=5, reason="why", since=START))
    record_state(history, engine, shop_mesh())
    assert [event.parked for event in states(history).values()] == recorded


def test_moves_are_recorded_from_the_move_log(engine: Engine, history: History) -> None:
    write_shops(engine, ["n2"])
    with engine.begin() as connection:
        row = {"service": "shop.orders", "entity": "1", "source": "n1", "target": "n2", "why": "drain"}
        connection.execute(insert(moves).values(**row, moved_at=MOMENT, epoch=1))
        connection.execute(insert(moves).values(**row | {"service": "another"}, moved_at=MOMENT, epoch=1))
    record_state(history, engine, shop_mesh())
    assert written(history) == [
        EntityMoved(service="shop.orders", owner="1", source="n1", target="n2", time=MOMENT.timestamp())
    ]


def test_a_database_without_workmesh_tables_is_recorded_too(history: History, tmp_path: Path) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{tmp_path / 'bare.db'}")
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    record_state(history, engine, shop_mesh())
    engine.dispose()
    assert len(states(history)) == 1


def test_reports_are_recorded_with_their_counts(history: History) -> None:
    record_report(history, PushReport("order", "n1", selected=5, pushed=3, refused=1, waiting=1), service="s")
    record_report(history, PullReport("order", "n1", selected=2, pulled=2), service="s")
    lane: dict[str, Any] = {"service": "s", "protocol": "order", "node": "n1"}
    assert written(history) == [
        LaneReported(**lane, direction="push", selected=5, pushed=3, refused=1, waiting=1),
        LaneReported(**lane, direction="pull", selected=2, pulled=2),
    ]


@pytest.mark.parametrize(
    ("key", "expected"),
    [(7, 7), ("a", "a"), (2**70, str(2**70)), (UUID(int=255), str(UUID(int=255))), (Decimal("1.50"), "1.50")],
)
def test_a_key_becomes_a_number_or_a_text(key: object, expected: object) -> None:
    assert as_id(key) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (3, 3),
        (Decimal("1.5"), 1.5),
        (MOMENT, "2026-03-01T12:30:00.000000+00:00"),
        (MOMENT.replace(tzinfo=None), "2026-03-01T12:30:00.000000+00:00"),
        (date(2026, 3, 1), "2026-03-01"),
        (UUID(int=255), str(UUID(int=255))),
    ],
)
def test_a_sort_value_becomes_json_that_sorts_alike(value: object, expected: object) -> None:
    assert as_sort(value) == expected


def test_recording_the_state_closes_its_connections(tmp_path: Path, history: History) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'master.db'}")
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    record_state(history, engine, shop_mesh())
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()
