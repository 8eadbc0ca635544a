"""A node that refuses everything is at fault itself: its lane stops, and no record is counted or parked for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, update

from tests.operations.delivery.lane_runs import (
    PUSH,
    context_on,
    push,
    push_stops,
    sent,
    sent_ids,
)
from tests.operations.delivery.refusals import few_attempts, refused_records, refusing_these
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, failure, scripted_node, success
from tests.support.shop import PUSH_FLAGS, orders, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows import Push, Service
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.lanes import acquire_lane
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import LaneStopped
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.push import push_lane

NEVER_OPEN = Limits(connect_timeout=1, read_timeout=5, breaker_failures=1_000)
BROKEN = [
    pytest.param(failure("no"), id="a refusal"),
    pytest.param(Answer(code=422), id="422"),
    pytest.param(Answer(code=500), id="500"),
    pytest.param(Answer(code=413), id="413"),
    pytest.param(Answer(code=504), id="504"),
    pytest.param(Answer(raw=b""), id="a closed connection"),
]


def run(engine: Engine, service: Service, node: Node) -> Counts:
    """One run whose breaker never opens; the figures of its report, also where the lane stops."""
    context = LaneContext(engine, service, service.protocols[0], node, holder="test", limits=NEVER_OPEN)
    try:
        return counts(push_lane(context))
    except LaneStopped as stopped:
        return counts(stopped.report)


@pytest.mark.parametrize("answer", BROKEN)
@pytest.mark.parametrize("batch_size", [10, None], ids=["batches", "a record a request"])
def test_an_outage_parks_nobody_and_everything_is_sent_once_the_node_works(
    engine: Engine, answer: Answer, batch_size: int | None
) -> None:
    write_shops(engine, ["n1"] * 8)
    write_orders(engine, list(range(1, 9)) * 2)
    service = few_attempts(attempts=1, batch_size=batch_size)
    with scripted_node(lambda asked: answer if asked.path == PUSH else success()) as node:
        stopped = push_stops(engine, service, node.node())
        assert "it refuses everything: records of 3 entities one after the other" in str(stopped)
        assert stopped.transient, "Prefect tries the lane again"
        assert counts(stopped.report).pushed == counts(stopped.report).parked == 0
        assert len(sent(node.asked)) < 20
        for _ in range(4):
            run(engine, service, node.node())
        assert set(refused_records(engine).values()) == {("trying", 0)}
        node.script = lambda asked: success()
        assert counts(push(engine, service, node.node())) == Counts(pushed=16)
        by_shop = [[number for number in sent_ids(node.asked) if number % 8 == shop] for shop in range(8)]
    assert refused_records(engine) == {}
    assert all(sorted(numbers) == numbers for numbers in (shop[-2:] for shop in by_shop))


def test_a_push_function_that_raises_for_every_record_stops_the_lane(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 5)
    write_orders(engine, [1, 2, 3, 4, 5])

    def broken(record: object, node: object) -> None:
        del record, node
        raise KeyError("a bug of today's deployment")

    service = shop_service(push=Push(broken, flags=PUSH_FLAGS, max_attempts=1))
    with scripted_node(lambda asked: success()) as node:
        assert "KeyError" in str(push_stops(engine, service, node.node()))
    assert set(refused_records(engine).values()) == {("trying", 0)}


@pytest.mark.parametrize("answer", BROKEN)
def test_records_of_fewer_than_three_entities_are_refused_as_always(engine: Engine, answer: Answer) -> None:
    write_shops(engine, ["n1"] * 2)
    write_orders(engine, [1, 2])
    with scripted_node(lambda asked: answer if asked.path == PUSH else success()) as node:
        assert run(engine, few_attempts(attempts=1), node.node()) == Counts(parked=2)
    assert set(refused_records(engine).values()) == {("parked", 1)}


def test_they_are_not_counted_while_another_lane_of_the_node_fails(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 2)
    write_orders(engine, [1, 2])
    other = Lane("shop.orders", "another protocol", "n1", "push")
    acquire_lane(engine, other, holder="test", clock=database_clock(engine), lease_seconds=1)
    with engine.begin() as connection:
        connection.execute(update(lanes).values(failures=1))
    with scripted_node(refusing_these(1, 2)) as node:
        assert run(engine, few_attempts(attempts=1), node.node()) == Counts(waiting=2)
        assert set(refused_records(engine).values()) == {("trying", 0)}
        with engine.begin() as connection:
            connection.execute(update(lanes).values(failures=0))
        assert run(engine, few_attempts(attempts=1), node.node()) == Counts(parked=2)


def test_three_bad_records_at_the_head_hold_the_lane_up_for_one_attempt_only(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 12)
    write_orders(engine, range(1, 13))
    service = few_attempts(attempts=2, batch_size=5)
    with scripted_node(refusing_these(1, 2, 3)) as node:
        push_stops(engine, service, node.node())
        assert set(refused_records(engine).values()) == {("trying", 0)}
        assert counts(push(engine, service, node.node())) == Counts(pushed=9, refused=3)
        assert set(refused_records(engine).values()) == {("trying", 1)}
        write_orders(engine, [12], first=13)
        assert counts(push(engine, service, node.node())) == Counts(pushed=1, parked=3)


def test_a_node_that_breaks_in_the_middle_of_a_run_stops_the_lane_after_ten_entities(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 40)
    write_orders(engine, range(1, 41))
    accepted = iter(range(2))

    def script(asked: Asked) -> Answer:
        return failure("no") if asked.path == PUSH and next(accepted, None) is None else success()

    with scripted_node(script) as node:
        stopped = push_stops(engine, few_attempts(attempts=1), node.node())
    assert counts(stopped.report) == Counts(pushed=20, waiting=10)
    assert list(refused_records(engine).values()) == [("trying", 0)] * 10
    assert with_push_success(engine, True) == list(range(1, 21))


def test_a_refusal_counts_as_soon_as_a_later_record_is_accepted(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 4)
    write_orders(engine, [1, 2, 3, 4])
    with scripted_node(refusing_these(1, 2)) as node:
        assert counts(push(engine, few_attempts(batch_size=None), node.node())) == Counts(pushed=2, refused=2)
    assert refused_records(engine) == {"1": ("trying", 1), "2": ("trying", 1)}
    assert orders(engine)[1].push_error == "no good"


def test_records_that_kill_the_node_in_turn_are_the_fault_of_the_node(engine: Engine) -> None:
    """After each record the node is unreachable for the rest of the run, its ping as well."""
    write_shops(engine, ["n1"] * 5)
    write_orders(engine, [1, 2, 3, 4, 5])
    service, dead = few_attempts(attempts=1, batch_size=None), False

    def script(asked: Asked) -> Answer:
        nonlocal dead
        dead = dead or asked.path == PUSH
        return Answer(raw=b"") if dead else success()

    with scripted_node(script) as node:
        for _ in range(20):
            dead = False
            run(engine, service, node.node())
        assert all(state == "trying" for state, _ in refused_records(engine).values())
        node.script = lambda asked: success()
        assert counts(push(engine, service, node.node())) == Counts(pushed=5)


def test_one_record_that_kills_the_node_is_parked_while_ten_other_accounts_go_on(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 11)
    write_orders(engine, range(1, 12))
    service, dead = few_attempts(attempts=2, batch_size=None), False

    def script(asked: Asked) -> Answer:
        nonlocal dead
        dead = dead or (asked.path == PUSH and asked.body["order"]["id"] == 1)
        return Answer(raw=b"") if dead else success()

    with scripted_node(script) as node:
        for number in range(6):
            dead = False
            write_orders(engine, range(2, 12), first=100 * (number + 1))
            run(engine, service, node.node())
    assert refused_records(engine) == {"1": ("parked", 2)}
    assert with_push_success(engine, True) == [number for number in orders(engine) if number != 1]


def test_an_attempt_is_counted_once_a_run_whatever_its_lane_retries(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 2)
    write_orders(engine, [1, 2, 1])
    service = few_attempts(attempts=5)
    with scripted_node(refusing_these(1)) as node:
        context = replace(context_on(engine, service, node.node()), started=datetime.now(UTC))
        assert counts(push_lane(context)) == Counts(pushed=1, refused=1, waiting=1)
        node.asked.clear()
        assert counts(push_lane(context)) == Counts(waiting=1)
        assert sent_ids(node.asked) == []
        assert refused_records(engine) == {"1": ("trying", 1)}
        assert counts(push(engine, service, node.node())) == Counts(refused=1, waiting=1)
    assert refused_records(engine) == {"1": ("trying", 2)}
