"""Entities change their node: always one node, no record lost, none out of order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import (
    PULL,
    PUSH,
    STATUS,
    as_node,
    order_node,
    pull,
    push,
    sent_ids,
)
from tests.operations.moves.movers import flags, former, move_log, moving, nodes_of_shops, steps, two_nodes
from tests.support.counts import NOTHING, Counts, counts
from tests.support.scripted_node import Answer, Asked, Script, scripted_node, success
from tests.support.shop import orders, shop_service, write_orders, write_shops
from workmesh_flows import Protocol, Service
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.lanes import acquire_lane, lease_lane
from workmesh_flows.adapters.store.protocol_tables import push_tables
from workmesh_flows.adapters.store.push_flags import push_flags
from workmesh_flows.adapters.store.refused_records import Refusals
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.errors import LaneBusy, LaneLost, StoreUnavailable
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.operations.moves.hand_over import hand_over


def processing(*, upto: Callable[[], Any]) -> Script:
    """A node that has processed all records up to one; a result is ten times the id."""

    def script(asked: Asked) -> Answer:
        if asked.path == STATUS:
            return success(upto())
        if asked.path == PULL:
            latest = upto() or 0
            return success({str(n): {"score": 10 * n} for n in asked.body["ids"] if n <= latest})
        return success()

    return script


def processed(node: NodeProcess, count: int) -> None:
    """Wait until a real node has processed this number of records."""
    end = time.monotonic() + 30
    while sum(arrival.processed_at is not None for arrival in node.arrivals()) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_records_in_flight_are_pushed_again_to_the_new_node_in_order(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 5)
    with two_nodes(processing(upto=lambda: 4)) as (_, new, n1, n2):
        push(engine, service, n1)
        write_orders(engine, [1], first=11)
        report = hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"))
        assert str(report) == (
            "from n1: moved 1 of 1 entities (n2 1), 3 records to push again (3 records were not processed within 0 s)"
        )
        assert nodes_of_shops(engine) == {1: "n2", 2: "n1"}
        push(engine, service, n2)
    assert sent_ids(new.asked) == [5, 7, 9, 11]
    assert [number for number, pulled in flags(engine, pulled=True).items() if pulled] == [1, 2, 3, 4]


def test_results_are_waited_for_up_to_a_deadline(engine: Engine) -> None:
    service, asked = shop_service(), list[str]()
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 6)

    def upto() -> int:
        asked.append(STATUS)
        return 3 if len(asked) < 3 else 6

    with two_nodes(processing(upto=upto)) as (_, _, n1, n2):
        push(engine, service, n1)
        report = hand_over(moving(engine, service, n1, n2, settle_seconds=30), steps([1], "n1", "n2"))
    assert (report.moved, report.records_to_push, report.note) == (1, 0, "")
    assert all(flags(engine, pulled=True).values())


def test_repush_sends_everything_from_the_beginning(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 3)
    with two_nodes(processing(upto=lambda: 6)) as (_, new, n1, n2):
        push(engine, service, n1)
        pull(engine, service, n1)
        report = hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"), repush=True)
        assert report.records_to_push == 3
        push(engine, service, n2)
    assert sent_ids(new.asked) == [1, 3, 5]
    assert flags(engine, pulled=True) == {1: None, 2: True, 3: None, 4: True, 5: None, 6: True}


def test_an_entity_may_stay_and_only_have_its_data_sent_again(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 2)
    with scripted_node() as only:
        n1 = only.node("shop.orders")
        push(engine, service, n1)
        only.asked.clear()
        hand_over(moving(engine, service, n1), steps([1], "n1", "n1", "repush"), repush=True)
        push(engine, service, n1)
    assert sent_ids(only.asked) == [1, 3]
    assert former(engine) == []
    assert [(row.entity, row.source, row.target, row.why, row.again) for row in move_log(engine)] == [
        ("1", "n1", "n1", "repush", 2)
    ]


def test_records_without_a_pull_stay_pushed_unless_everything_is_sent_again(engine: Engine) -> None:
    declared = shop_service().protocols[0]
    once = Protocol("order", record=declared.record, id=declared.id, sort=declared.sort, push=declared.push)
    base = shop_service()
    service = Service("shop.orders", entity=base.entity, assigned_to=base.assigned_to, protocols=[once])
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    with two_nodes() as (_, _, n1, n2):
        push(engine, service, n1)
        assert hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2")).records_to_push == 0
        assert (
            hand_over(moving(engine, service, n1, n2), steps([1], "n2", "n1"), repush=True).records_to_push
            == 3
        )
    assert former(engine) == []


def test_each_move_is_in_the_log_with_its_epoch(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1", "n2"])
    with two_nodes() as (_, _, n1, n2):
        now = moving(engine, service, n1, n2)
        hand_over(now, steps([1, 2], "n1", "n2"), plan="drain-1")
        hand_over(now, steps([3], "n2", "n1", "balance"))
    log = [(row.entity, row.source, row.target, row.why, row.epoch, row.plan) for row in move_log(engine)]
    assert log == [
        ("1", "n1", "n2", "drain", 1, "drain-1"),
        ("2", "n1", "n2", "drain", 1, "drain-1"),
        ("3", "n2", "n1", "balance", 2, None),
    ]
    assert all(datetime.now(UTC) - row.moved_at < timedelta(minutes=1) for row in move_log(engine))


def test_an_entity_that_left_its_source_is_skipped(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n3", None])
    with two_nodes() as (_, _, n1, n2):
        report = hand_over(moving(engine, service, n1, n2), steps([1, 2, 3, 9], "n1", "n2"))
    assert (report.moved, report.skipped) == (1, 3)
    assert report.reasons == dict.fromkeys(["2", "3", "9"], "it is not at n1 any more")
    assert nodes_of_shops(engine) == {1: "n2", 2: "n3", 3: None}


def test_a_move_whose_commit_was_not_confirmed_is_made_once_and_reported_by_the_next_attempt(
    engine: Engine,
) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])
    with two_nodes() as (_, two, n1, n2):
        push(engine, service, n1)

        def on_step(step: str) -> None:
            if step == "moved":  # it is committed; the connection breaks before the answer
                raise StoreUnavailable("the connection is lost")

        with pytest.raises(StoreUnavailable):
            hand_over(moving(engine, service, n1, n2, on_step=on_step), steps([1, 2], "n1", "n2"))
        report = hand_over(moving(engine, service, n1, n2), steps([1, 2], "n1", "n2"))
        push(engine, service, n2)
    assert (report.moved, report.skipped, report.not_moved) == (2, 0, 0)
    assert [row.entity for row in move_log(engine)] == ["1", "2"]
    assert sent_ids(two.asked) == [1, 2]


@pytest.mark.parametrize(
    ("caps", "reason"),
    [
        ({"max_entities": {"shop.orders": 2}}, "n2 is at its max_entities (2)"),
        ({"max_entities": {"*": 2}}, "n2 is at its max_entities (2)"),
        ({"state": NodeState.DRAINING}, "n2 takes no new entities"),
    ],
)
def test_a_target_that_has_no_room_now_takes_nothing(
    engine: Engine, caps: dict[str, Any], reason: str
) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1", "n2"])
    with scripted_node() as one, scripted_node() as two:
        n1, n2 = one.node("shop.orders"), two.node("shop.orders", name="n2", **caps)
        report = hand_over(moving(engine, service, n1, n2), steps([1, 2], "n1", "n2"))
    assert set(report.reasons.values()) == {reason}
    assert list(nodes_of_shops(engine).values()).count("n2") == (1 if "state" in caps else 2)


def test_entities_leave_a_dead_node_without_its_results(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    with scripted_node() as old:
        n1 = old.node("shop.orders")
        push(engine, service, n1)
    with scripted_node() as new:
        n2 = new.node("shop.orders", name="n2")
        report = hand_over(moving(engine, service, n1, n2, settle_seconds=30), steps([1], "n1", "n2"))
        assert report.note.startswith("3 records were not waited for: node n1: ")
        push(engine, service, n2)
    assert sent_ids(new.asked) == [1, 2, 3]


@pytest.mark.parametrize("gone", [True, False], ids=["not in the inventory", "disabled"])
def test_a_node_that_must_not_be_asked_is_not_asked(engine: Engine, gone: bool) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with two_nodes() as (old, _, n1, n2):
        push(engine, service, n1)
        old.asked.clear()
        known = [n2] if gone else [replace(n1, state=NodeState.DISABLED), n2]
        report = hand_over(moving(engine, service, *known, settle_seconds=5), steps([1], "n1", "n2"))
    assert old.asked == []
    assert report.moved == 1
    why = "it is not in the inventory" if gone else "the node is disabled"
    assert report.note == f"1 record was not waited for: {why}"


def test_a_pause_that_the_node_asked_for_is_saved_and_not_waited_for(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with two_nodes() as (old, _, n1, n2):
        push(engine, service, n1)
        old.script = lambda asked: Answer(b"", 503, {"Retry-After": "3600"})
        report = hand_over(moving(engine, service, n1, n2, settle_seconds=60), steps([1], "n1", "n2"))
        assert report.moved == 1
        old.asked.clear()
        write_shops_again = steps([1], "n2", "n1")
        hand_over(moving(engine, service, n1, n2), write_shops_again)
        hand_over(moving(engine, service, n1, n2, settle_seconds=60), steps([1], "n1", "n2"))
    assert old.asked == []
    with engine.connect() as connection:
        lane = connection.execute(
            lanes.select().where(lanes.c.direction == "pull", lanes.c.node == "n1")
        ).one()
    assert lane.retry_at > datetime.now(UTC) + timedelta(minutes=50)


def test_a_hand_over_waits_for_a_busy_lane(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    lane, clock = Lane("shop.orders", "order", "n1", "push"), database_clock(engine)
    with two_nodes() as (_, _, n1, n2):
        with lease_lane(engine, lane, holder="a push", clock=clock, lease_seconds=30):
            with pytest.raises(LaneBusy, match="held by a push"):
                hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"))
            assert nodes_of_shops(engine) == {1: "n1"}
            waiting = threading.Thread(
                target=hand_over,
                args=(moving(engine, service, n1, n2, wait_seconds=30), steps([1], "n1", "n2")),
            )
            waiting.start()
            waiting.join(0.7)
            assert nodes_of_shops(engine) == {1: "n1"}
        waiting.join()
    assert nodes_of_shops(engine) == {1: "n2"}


def test_a_sender_that_was_paused_can_flag_nothing_after_the_entity_left(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    lane, clock = Lane("shop.orders", "order", "n1", "push"), database_clock(engine)
    paused = acquire_lane(engine, lane, holder="a paused run", clock=clock, lease_seconds=-1)
    with two_nodes() as (_, two, n1, n2):
        hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"))
        now, tables = clock(), push_tables(service, service.protocols[0])
        with (
            push_flags(engine, paused, tables, Refusals()) as written,
            pytest.raises(LaneLost),
        ):
            written.write([1], {}, now, answered=True)
        assert flags(engine) == {1: None}
        push(engine, service, n2)
    assert sent_ids(two.asked) == [1]


def test_a_drain_that_is_revoked_half_way_does_not_move_the_rest(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1"] * 250)
    with scripted_node() as one, scripted_node() as two:
        draining = one.node("shop.orders", state=NodeState.DRAINING)
        n2 = two.node("shop.orders", name="n2")
        state = [draining]

        def on_step(step: str) -> None:
            if step == "moved":
                state[0] = replace(draining, state=NodeState.ACTIVE)

        there = moving(
            engine,
            service,
            inventory=lambda: Inventory({"n1": state[0], "n2": n2}),
            on_step=on_step,
            revocable=True,
        )
        report = hand_over(there, steps(range(1, 251), "n1", "n2"))
    assert (report.moved, report.not_moved, report.note) == (100, 150, "the drain was revoked")
    assert list(nodes_of_shops(engine).values()).count("n1") == 150


def test_a_drain_that_is_revoked_while_it_waits_for_results_moves_nothing(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with two_nodes(processing(upto=lambda: None)) as (_, _, n1, n2):
        push(engine, service, n1)
        there = moving(engine, service, n1, n2, settle_seconds=60, revocable=True)  # n1 is active
        report = hand_over(there, steps([1], "n1", "n2"))
    assert (report.moved, report.not_moved, report.note) == (0, 1, "the drain was revoked")


def test_a_push_that_runs_while_an_entity_arrives_sends_its_records_in_order(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workmesh_flows.operations.delivery.lane_context.PAGE", 10)
    service = shop_service()
    write_shops(engine, ["n1", "n2"])
    write_orders(engine, [1, 2] * 30)
    began = threading.Event()

    with two_nodes() as (one, two, n1, n2):
        one.script = processing(upto=lambda: None)

        def script(asked: Asked) -> Answer:
            if asked.path == PUSH and not began.is_set():
                began.set()
                hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"))
            return success()

        two.script = script
        report = push(engine, service, n2)
        rest = push(engine, service, n2)
    assert counts(report).pushed + counts(rest).pushed == 60
    mine = [number for number in sent_ids(two.asked) if number % 2 == 1]
    assert mine == sorted(mine)
    assert len(mine) == 30


def test_a_refused_record_is_reported_once_when_reading_restarts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workmesh_flows.operations.delivery.lane_context.PAGE", 10)
    service = shop_service()
    write_shops(engine, ["n1", "n2", "n2"])
    write_orders(engine, [2, 3] * 20)
    write_orders(engine, [1], first=100)
    pushes = []
    with two_nodes() as (_, two, n1, n2):

        def script(asked: Asked) -> Answer:
            if asked.path != PUSH:
                return success()
            pushes.append(asked)
            if len(pushes) == 2:
                hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"))
            refused = {str(order["id"]): "no" for order in asked.body["orders"] if order["id"] == 1}
            return success({"refused": refused})

        two.script = script
        report = push(engine, service, n2)
    # Shop 2: the node took four orders of the batch in which it refused the first, the other fifteen wait.
    assert counts(report) == Counts(pushed=25, refused=1, waiting=15)


def test_a_node_may_name_a_record_that_left_it_as_the_latest(engine: Engine) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 3)
    latest = [2]
    with two_nodes(processing(upto=lambda: latest[0])) as (_, _, n1, n2):
        push(engine, service, n1)
        hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"))
        assert former(engine) == [("n1", "3"), ("n1", "5")]
        latest[0] = 5
        assert counts(pull(engine, service, n1)) == Counts(pulled=1)
    assert flags(engine, pulled=True) == {1: True, 2: True, 3: None, 4: True, 5: None, 6: None}


def test_a_node_may_name_a_deleted_record_again_as_the_latest(
    engine: Engine,
) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    with scripted_node(processing(upto=lambda: 2)) as only:
        n1 = only.node("shop.orders")
        push(engine, service, n1)
        pull(engine, service, n1)
        with engine.begin() as connection:
            connection.exec_driver_sql('DELETE FROM "select" WHERE id = 2')
        assert counts(pull(engine, service, n1)) == NOTHING


def test_results_of_a_returned_entity_are_pulled_though_the_node_processes_nothing_twice(
    engine: Engine, tmp_path: Path
) -> None:
    service = shop_service()
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 4)
    with order_node(tmp_path, "n1") as one, order_node(tmp_path, "n2") as two:
        n1, n2 = as_node(one), as_node(two)
        push(engine, service, n1)
        processed(one, 4)
        there = moving(engine, service, n1, n2)
        hand_over(moving(engine, service, n2), steps([1], "n1", "n2"))  # n1 is not asked for results
        hand_over(there, steps([1], "n2", "n1"))
        assert set(flags(engine).values()) == {None}
        push(engine, service, n1)
        assert counts(pull(engine, service, n1)) == Counts(pulled=4)
    assert former(engine) == []
    assert [order.score for order in orders(engine).values()] == [10, 20, 30, 40]
