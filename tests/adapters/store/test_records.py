"""Pending and pullable records, and the ids that a node may name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    Engine,
    Integer,
    text,
    update,
)
from sqlalchemy.orm import Session

from tests.adapters.store.paging import ids, pages, reader_of
from tests.adapters.store.worlds import START, World, at, make_flat, make_world
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.protocol_tables import pull_tables, push_tables
from workmesh_flows.adapters.store.pullable_records import reading_pullable
from workmesh_flows.adapters.store.statements import counts as statements
from workmesh_flows.domain.columns import column_of
from workmesh_flows.errors import StoreError, StoreUnavailable


@pytest.fixture
def world(engine: Engine) -> World:
    made = make_world()
    made.fill(engine, ["n1", None], [1, 2, None], [1, 2, 3, None, 1, 1, 1])
    return made


def flag(engine: Engine, world: World, number: int, **values: Any) -> None:
    with Session(engine) as session:
        session.execute(update(world.delivery).where(world.delivery.id == world.key(number)).values(**values))
        session.commit()


def test_a_record_is_pending_until_it_is_flagged_as_pushed(engine: Engine, world: World) -> None:
    assert ids(pages(engine, world.service, 10)) == [1, 5, 6, 7]
    flag(engine, world, 5, push_success=True, push_time=START)
    flag(engine, world, 6, push_success=False, push_time=START, push_error="no")
    assert ids(pages(engine, world.service, 10)) == [1, 6, 7]
    assert reader_of(engine, world.service).count() == 3


def test_records_without_an_owner_or_a_node_are_counted_and_never_pending(
    engine: Engine, world: World
) -> None:
    flag(engine, world, 3, push_success=False)
    flag(engine, world, 5, push_success=True, push_time=START)
    flag(engine, world, 6, push_success=True, push_time=START, pull_success=True)
    flag(engine, world, 7, push_success=True, push_time=START, pull_success=False)
    tables = pull_tables(world.service, world.protocol)
    assert by_place(engine, statements.pending_counts(tables)) == {
        ("n1", True): (1, 0),
        (None, True): (1, 0),
        (None, False): (2, 1),
    }
    assert by_place(engine, statements.in_flight_counts(tables)) == {("n1", True): (2, 1)}
    with engine.connect() as connection:
        assert connection.scalar(statements.processed_count(tables)) == 1


def by_place(engine: Engine, statement: Any) -> dict[tuple[str | None, bool], tuple[int, int]]:
    """Records and failed records, by node and by whether they have an owner."""
    with engine.connect() as connection:
        rows = connection.execute(statement).all()
    return {(row.node, bool(row.owned)): (row.records, int(row.failed)) for row in rows}


def test_counts_of_a_protocol_that_only_pushes(engine: Engine) -> None:
    world = make_flat(Integer())
    world.fill(engine, [1, 2, 3])
    tables = push_tables(world.service, world.service.protocols[0])
    with engine.begin() as connection:
        connection.execute(update(world.order).where(world.order.id == 1).values(push_success=True))
        connection.execute(update(world.order).where(world.order.id == 2).values(push_success=False))
        assert connection.scalar(statements.processed_count(tables)) == 1
    assert list(by_place(engine, statements.pending_counts(tables)).values()) == [(2, 1)]


def test_pushed_at_finds_only_records_of_the_lane(engine: Engine, world: World) -> None:
    flag(engine, world, 1, push_success=True, push_time=at(0.000_001))
    flag(engine, world, 5, push_success=False, push_time=at(1))
    flag(engine, world, 2, push_success=True, push_time=at(1))
    with reading_pullable(engine, pull_tables(world.service, world.protocol), "n1") as reader:
        assert reader.pushed_at(1) == (at(0.000_001), True)
        assert reader.pushed_at(5) == (at(1), False)
        assert reader.pushed_at(6) == (None, False)
        for other in (2, 3, 4, 99, 2**40, 2**63 - 1):
            assert reader.pushed_at(other) is None


def test_pullable_are_the_pushed_ones_up_to_a_time_in_the_order_of_pushing(engine: Engine) -> None:
    world = make_world()
    world.fill(engine, ["n1"], [1], [1] * 9)
    for number, seconds in ((9, 1), (8, 2), (7, 2), (6, 3), (5, 4), (4, 4.000_001)):
        flag(engine, world, number, push_success=True, push_time=at(seconds))
    flag(engine, world, 6, pull_success=True)
    flag(engine, world, 8, pull_success=False)
    flag(engine, world, 3, push_success=False, push_time=at(1))
    for size in (1, 2, 3, 10):
        with reading_pullable(engine, pull_tables(world.service, world.protocol), "n1") as reader:
            read = [list(page) for page in reader.pages(upto=at(4), size=size)]
        assert ids(read) == [9, 7, 8, 5]


def test_a_value_that_cannot_be_a_key_is_not_in_the_lane(engine: Engine) -> None:
    world = make_world("texts")
    world.fill(engine, ["n1"], [1], [1])
    with reading_pullable(engine, pull_tables(world.service, world.protocol), "n1") as reader:
        for other in ("", "x" * 1_000, "a\0b", "'; DROP TABLE x; --"):
            assert reader.pushed_at(other) is None
        assert reader.pushed_at(world.key(1)) == (None, False)


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("integers", 5, 5),
        ("integers", "5", 5),
        ("texts", "5", "5"),
        ("texts", 5, "5"),
        ("UUIDs", "{00000000-0000-0000-0000-00000000000A}", UUID(int=10)),
        ("UUIDs", "0000000000000000000000000000000a", UUID(int=10)),
    ],
)
def test_an_id_is_parsed_into_the_type_of_its_column(kind: str, value: Any, read: Any) -> None:
    assert parse_key(column_of(make_world(kind).protocol.id), value) == read


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(
            ("integers", value)
            for value in ("", "five", "5.0", 5.0, True, None, [5], {"id": 5}, 2**63, "9" * 30)
        ),
        *(("UUIDs", value) for value in ("", "five", 5, None, [5])),
        *(("texts", value) for value in (None, True, 1.5, ["5"])),
    ],
)
def test_a_value_that_cannot_be_an_id_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(ValueError, match="is no key"):
        parse_key(column_of(make_world(kind).protocol.id), value)


def test_a_missing_column_is_named(engine: Engine) -> None:
    world = make_flat(Integer())
    world.fill(engine, [1, 2])
    with engine.begin() as connection:
        connection.execute(text('ALTER TABLE "order" RENAME COLUMN at TO moment'))
    with pytest.raises(StoreError, match=r"order\.at") as raised:
        pages(engine, world.service, 1)
    assert not isinstance(raised.value, StoreUnavailable)


def test_a_missing_table_is_named(engine: Engine) -> None:
    world = make_flat(Integer())
    with pytest.raises(StoreError, match="order") as raised:
        pages(engine, world.service, 1)
    assert not isinstance(raised.value, StoreUnavailable)
