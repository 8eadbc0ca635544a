"""Missing records, saved for the nodes that were asked for them, with keys of any type."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from tests.adapters.store.key_types import KEY_TYPES
from tests.adapters.store.worlds import START, World, at, make_world
from workmesh_flows.adapters.store.lanes import acquire_lane
from workmesh_flows.adapters.store.missing_records import (
    MissingRecord,
    MissingRecords,
    Pushed,
    last_push_times,
    missing_records,
    was_asked_for,
)
from workmesh_flows.adapters.store.protocol_tables import pull_tables
from workmesh_flows.adapters.store.schema import lanes, services
from workmesh_flows.errors import LaneLost


def pushed_world(engine: Engine, kind: str) -> World:
    """Deliveries 1 to 4 to account 1 on n1 and 5 to account 2 on n2, pushed a second apart; 4 has a failure."""
    world = make_world(kind)
    world.fill(engine, ["n1", "n2"], [1, 2], [1, 1, 1, 1, 2])
    with Session(engine) as session, session.begin():
        for number in range(1, 6):
            values = {
                "push_success": True,
                "push_time": at(number),
                "pull_success": False if number == 4 else None,
            }
            session.execute(
                update(world.delivery).where(world.delivery.id == world.key(number)).values(values)
            )
    return world


def records_of(engine: Engine, world: World, node: str = "n1") -> MissingRecords:
    tables = pull_tables(world.service, world.protocol)
    lease = acquire_lane(
        engine, tables.lane(node, "pull"), holder="a test", clock=lambda: START, lease_seconds=60
    )
    return MissingRecords(engine, lease, tables)


def pushes_of(records: MissingRecords, world: World) -> dict[int, Pushed]:
    """The pushes of deliveries 1 to 3 by number."""
    found = {push.id: push for page in records.without_result(upto=at(9)) for push in page}
    return {number: found[world.key(number)] for number in (1, 2, 3)}


def flags(engine: Engine, world: World) -> dict[Any, bool | None]:
    with Session(engine) as session:
        return dict(session.execute(select(world.delivery.id, world.delivery.push_success)).all())


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_missing_records_are_saved_counted_and_made_pending_once(engine: Engine, kind: str) -> None:
    world = pushed_world(engine, kind)
    records = records_of(engine, world)
    found = pushes_of(records, world)
    assert [(push.id, push.time) for push in found.values()] == [(world.key(n), at(n)) for n in (1, 2, 3)]
    assert [*records.without_result(upto=at(4), above=at(1))] == [[found[2], found[3]]]
    records.save([found[1], found[2]])
    assert records.asked(list(found.values())) == {
        found[1]: False,
        found[2]: False,
    }
    listed = missing_records(engine, records.tables)
    assert sorted(listed, key=str) == sorted(
        (MissingRecord(world.key(number), world.key(1), "n1") for number in (1, 2)), key=str
    )
    assert records.make_pending([found[1]]) == 1
    assert records.asked([found[1]]) == {found[1]: True}
    assert flags(engine, world)[world.key(1)] is None
    assert [record.id for record in missing_records(engine, records.tables)] == [world.key(2)]
    with engine.connect() as connection:
        assert connection.scalar(select(services.c.revision)) == 1


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_another_node_is_asked_for_a_missing_record_once_for_each_push(engine: Engine, kind: str) -> None:
    world = pushed_world(engine, kind)
    records = records_of(engine, world)
    found = pushes_of(records, world)
    records.save([found[1], found[3]])
    other = records_of(engine, world, "n2")
    assert sorted(*other.missing_elsewhere(upto=at(4)), key=str) == sorted((found[1], found[3]), key=str)
    assert [*other.missing_elsewhere(upto=at(2))] == [[found[1]]]
    other.save([found[1]])
    assert [*other.missing_elsewhere(upto=at(4))] == [[found[3]]]
    assert was_asked_for(engine, other.tables, "n2", world.key(1))
    assert not was_asked_for(engine, other.tables, "n2", world.key(3))


def test_what_is_saved_of_an_earlier_push_is_replaced(engine: Engine) -> None:
    world = pushed_world(engine, "integers")
    records = records_of(engine, world)
    found = pushes_of(records, world)
    records.save([found[1]])
    records.make_pending([found[1]])
    later = found[1]._replace(time=at(9))
    assert records.asked([later]) == {}
    records.save([later])
    assert records.asked([later]) == {later: True}, "it was made pending again before"


def test_records_with_a_result_are_forgotten_and_not_made_pending(engine: Engine) -> None:
    world = pushed_world(engine, "integers")
    records = records_of(engine, world)
    found = pushes_of(records, world)
    records.save(list(found.values()))
    with Session(engine) as session, session.begin():
        session.execute(update(world.delivery).where(world.delivery.id == 1).values(pull_success=True))
        session.delete(session.get_one(world.delivery, 3))
    assert records.make_pending([found[1]]) == 0
    records.forget()
    assert records.asked(list(found.values())) == {found[2]: False}


def test_a_run_that_lost_its_lane_saves_nothing(engine: Engine) -> None:
    world = pushed_world(engine, "integers")
    records = records_of(engine, world)
    found = pushes_of(records, world)
    with engine.begin() as connection:
        connection.execute(update(lanes).values(epoch=7))
    with pytest.raises(LaneLost):
        records.save([found[1]])
    with pytest.raises(LaneLost):
        records.make_pending([found[1]])
    assert records.asked([found[1]]) == {}
    assert flags(engine, world)[1] is True


def test_more_records_than_one_statement_takes_are_read_in_pages(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workmesh_flows.adapters.store.missing_records.AT_ONCE", 2)
    world = pushed_world(engine, "integers")
    records = records_of(engine, world)
    assert [len(page) for page in records.without_result(upto=at(9))] == [2, 1]
    found = pushes_of(records, world)
    records.save(list(found.values()))
    assert [len(page) for page in records_of(engine, world, "n2").missing_elsewhere(upto=at(9))] == [2, 1]
    assert len(missing_records(engine, records.tables)) == 3
    records.forget()
    assert len(missing_records(engine, records.tables)) == 3


def test_the_last_push_to_each_node_is_read(engine: Engine) -> None:
    world = pushed_world(engine, "integers")
    tables = pull_tables(world.service, world.protocol)
    with engine.begin() as connection:
        rows = [
            tables.lane(node, "push").key | {"last_push_time": at(n)} for n, node in enumerate(("n1", "n2"))
        ]
        connection.execute(insert(lanes), [*rows, tables.lane("n3", "push").key | {"last_push_time": None}])
    assert last_push_times(engine, tables.lane("n1", "pull")) == {"n1": at(0), "n2": at(1)}
