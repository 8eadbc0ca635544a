"""The table of refused records: keys of any type as text, listed, replayed, skipped and deleted."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, update

from tests.adapters.store.key_types import KEY_TYPES
from tests.adapters.store.refused_orders import RefusedOrders, write_orders
from tests.operations.delivery.lane_runs import push
from tests.operations.delivery.refusals import refused_records
from tests.support.scripted_node import scripted_node
from tests.support.shop import START
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.domain.columns import table_of
from workmesh_flows.errors import ConfigurationError, UnknownName
from workmesh_flows.operations.delivery.replay import decide_refused, list_refused


def run(engine: Engine, there: RefusedOrders, times: int = 1) -> list[Any]:
    """Push a number of times; return what the last run sent."""
    with scripted_node() as node:
        for _ in range(times):
            there.sent.clear()
            push(engine, there.service, node.node())
    return there.sent


def states(engine: Engine) -> list[tuple[str, int]]:
    return sorted(refused_records(engine).values())


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_attempts_are_counted_under_keys_of_any_type(engine: Engine, kind: str) -> None:
    key = KEY_TYPES[kind].key
    there = write_orders(engine, KEY_TYPES[kind], [1, 1, 2], attempts=3)
    there.bad.add(key(101))
    assert run(engine, there) == [key(103)]
    assert states(engine) == [("trying", 1)]
    run(engine, there)
    assert states(engine) == [("trying", 2)]
    run(engine, there)
    assert states(engine) == [("parked", 3)]
    assert run(engine, there) == []
    there.bad.clear()
    assert decide_refused(engine, there.service, "replay") == 1
    assert run(engine, there) == [key(101), key(102)]
    assert states(engine) == []


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_success_forgets_the_refusals_of_a_key_of_any_type(engine: Engine, kind: str) -> None:
    there = write_orders(engine, KEY_TYPES[kind], [1, 1])
    there.bad.add(KEY_TYPES[kind].key(101))
    run(engine, there)
    there.bad.clear()
    assert len(run(engine, there)) == 2
    assert states(engine) == []


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_record_or_an_entity_is_found_by_its_key_as_text(engine: Engine, kind: str) -> None:
    kinds = KEY_TYPES[kind]
    there = write_orders(engine, kinds, [1, 2], attempts=1)
    there.bad.update({kinds.key(101), kinds.key(102)})
    spellings = list(zip(kinds.spellings(kinds.key(101)), kinds.spellings(kinds.key(1)), strict=True))
    for record, entity in spellings:
        run(engine, there)
        assert states(engine) == [("parked", 1)] * 2
        assert decide_refused(engine, there.service, "replay", records=[record]) == 1
        assert states(engine) == [("parked", 1)]
        run(engine, there)
        assert decide_refused(engine, there.service, "replay", entities=[entity]) == 1
        assert states(engine) == [("parked", 1)]
    run(engine, there)
    assert decide_refused(engine, there.service, "skip", records=[spellings[-1][0]]) == 1
    assert states(engine) == [("parked", 1), ("skipped", 1)]


def test_unknown_names_change_nothing(engine: Engine) -> None:
    kind = KEY_TYPES["UUIDs"]
    there = write_orders(engine, kind, [1, 1, 2], attempts=1)
    there.bad.add(kind.key(101))
    run(engine, there)
    known = str(kind.key(101))
    with pytest.raises(UnknownName, match="service orders has no refused or failed record 'no uuid'"):
        decide_refused(engine, there.service, "replay", records=[known, "no uuid"])
    with pytest.raises(
        UnknownName, match=f"service orders has no entity with refused records '{kind.key(2)}'"
    ):
        decide_refused(engine, there.service, "skip", records=[known], entities=[str(kind.key(2))])
    with pytest.raises(ConfigurationError, match="name the records or entities to skip"):
        decide_refused(engine, there.service, "skip")
    assert states(engine) == [("parked", 1)]
    assert decide_refused(engine, there.service, "replay", records=[known, known.upper()]) == 1


def test_records_that_wait_behind_a_refused_one_are_counted(engine: Engine) -> None:
    kind = KEY_TYPES["UUIDs"]
    there = write_orders(engine, kind, [1, 1, 1, 2, 2, 3], attempts=2)
    there.bad.update({kind.key(101), kind.key(104)})
    run(engine, there, 2)
    first, second = list_refused(engine, Mesh([there.service]))
    found = {(one.state.value, one.attempts, one.waiting, one.node, one.reason) for one in (first, second)}
    assert found == {("parked", 2, 2, "n1", "bad"), ("parked", 2, 1, "n1", "bad")}
    decide_refused(engine, there.service, "skip", records=[str(kind.key(101))])
    counts = {one.state.value: one.waiting for one in list_refused(engine, Mesh([there.service]), ["orders"])}
    assert counts == {"skipped": 0, "parked": 1}
    with pytest.raises(UnknownName):
        list_refused(engine, Mesh([there.service]), ["order"])


def test_the_whole_lane_waits_behind_a_blocking_record(engine: Engine) -> None:
    kind = KEY_TYPES["integers"]
    there = write_orders(engine, kind, [1, 1, 2, 3], attempts=1, policy="block")
    there.bad.add(kind.key(101))
    with pytest.raises(Exception, match="blocks it: bad"):
        run(engine, there)
    (one,) = list_refused(engine, Mesh([there.service]))
    assert (one.state.value, one.waiting) == ("blocking", 3)


@pytest.mark.parametrize("policy", ["park_entity", "block"])
@pytest.mark.parametrize("kind", KEY_TYPES)
def test_nothing_waits_for_a_record_that_the_users_program_deleted(
    engine: Engine, kind: str, policy: Any
) -> None:
    key = KEY_TYPES[kind].key
    there = write_orders(engine, KEY_TYPES[kind], [1, 1], attempts=1, policy=policy)
    there.bad.add(key(101))
    try:
        run(engine, there)
    except Exception:  # noqa: BLE001 - the lane is blocked
        assert policy == "block"
    with engine.begin() as connection:
        connection.execute(delete(there.order).where(there.order.id == key(101)))
    assert run(engine, there) == [key(102)]
    assert states(engine) == []


def test_nothing_waits_for_a_record_that_was_flagged_as_pushed_by_hand(engine: Engine) -> None:
    key = KEY_TYPES["integers"].key
    there = write_orders(engine, KEY_TYPES["integers"], [1, 1], attempts=1)
    there.bad.add(key(101))
    run(engine, there)
    with engine.begin() as connection:
        connection.execute(update(there.order).where(there.order.id == key(101)).values(push_success=True))
    assert run(engine, there) == [key(102)]
    assert states(engine) == []


@pytest.mark.parametrize("policy", ["park_entity", "block"])
def test_an_entity_that_was_deleted_with_its_records_is_forgotten(engine: Engine, policy: Any) -> None:
    key = KEY_TYPES["integers"].key
    there = write_orders(engine, KEY_TYPES["integers"], [1, 1, 2], attempts=1, policy=policy)
    there.bad.add(key(101))
    try:
        run(engine, there)
    except Exception:  # noqa: BLE001 - the lane is blocked
        assert policy == "block"
    owner = table_of(there.service.entity)
    with engine.begin() as connection:
        connection.execute(delete(there.order).where(there.order.shop_id == key(1)))
        connection.execute(delete(owner).where(owner.c.id == key(1)))
        connection.execute(insert(there.order), [{"id": key(110), "shop_id": key(2), "at": START}])
    assert run(engine, there)[-1] == key(110)
    assert states(engine) == []


def test_a_parked_record_that_moves_to_another_owner_stays_parked(engine: Engine) -> None:
    key = KEY_TYPES["integers"].key
    there = write_orders(engine, KEY_TYPES["integers"], [1, 2], attempts=1)
    there.bad.add(key(101))
    run(engine, there)
    with engine.begin() as connection:
        connection.execute(update(there.order).values(shop_id=key(2)))
    there.bad.clear()
    assert run(engine, there) == []
    decide_refused(engine, there.service, "replay")
    assert run(engine, there) == [key(101)]


def test_a_reason_of_any_length_is_saved_up_to_the_limit(engine: Engine) -> None:
    key = KEY_TYPES["texts"].key
    there = write_orders(engine, KEY_TYPES["texts"], [1], attempts=1)
    there.bad.add(key(101))
    run(engine, there)
    with engine.connect() as connection:
        row = connection.execute(parked.select()).one()
    assert (row.record, row.owner, row.reason) == (key(101), key(1), "bad")
    assert row.since is not None
