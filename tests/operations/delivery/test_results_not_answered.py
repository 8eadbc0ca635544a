"""A record for whose result the node stops answering is found by smaller requests; the results of all others are pulled."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import PING, PULL, STATUS, lane_row, pull, pull_stops, push
from tests.operations.delivery.refusals import refused_records
from tests.support.counts import NOTHING, Counts, counts
from tests.support.scripted_node import Answer, Asked, ScriptedNode, scripted_node, success
from tests.support.shop import PULL_FLAGS, Order, orders, shop_service, write_orders, write_shops
from workmesh_flows import Pull, Service, get
from workmesh_flows.domain.limits import Limits
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane

GONE, AWAY = Answer(raw=b""), Answer(code=502)
SHOPS, ORDERS = 10, 40
CULPRIT = 12


def by_id(size: int = 10) -> Service:
    fetch = get(PULL, into={"score": Order.score}, batch_size=size)
    return shop_service(pull=Pull(STATUS, fetch, flags=PULL_FLAGS))


def one_by_one() -> Service:
    def fetch(order: Order, node: Any) -> dict[str, int]:
        found: dict[str, dict[str, int]] = node.post(PULL, {"ids": [order.id]})
        return found[str(order.id)]

    return shop_service(pull=Pull(STATUS, fetch, flags=PULL_FLAGS))


def script(is_lost: Callable[[list[int]], bool], answer: Answer = GONE, *, latest: int = ORDERS) -> Any:
    """A node that gives ``answer`` to requests for some ids; the result of an order is ten times its id."""

    def answered(asked: Asked) -> Answer:
        if asked.path == STATUS:
            return success(latest)
        if asked.path != PULL:
            return success()
        ids = asked.body["ids"]
        return answer if is_lost(ids) else success({str(n): {"score": 10 * n} for n in ids})

    return answered


def losing(*culprits: int) -> Callable[[list[int]], bool]:
    return lambda ids: not set(culprits).isdisjoint(ids)


def write(engine: Engine, node: ScriptedNode, service: Service) -> None:
    """Push orders of ten shops."""
    write_shops(engine, ["n1"] * SHOPS)
    write_orders(engine, [1 + number % SHOPS for number in range(ORDERS)])
    assert push(engine, service, node.node()).pushed == ORDERS
    node.asked.clear()


def without_result(engine: Engine) -> list[int]:
    found = orders(engine)
    assert all(order.score == 10 * number for number, order in found.items() if order.pull_success)
    return [number for number, order in found.items() if not order.pull_success]


def requests(node: ScriptedNode) -> list[list[int]]:
    return [asked.body["ids"] for asked in node.asked if asked.path == PULL]


@pytest.mark.parametrize(
    ("service", "culprit", "answer"),
    [
        pytest.param(by_id(), CULPRIT, GONE, id="in the middle of a batch, a closed connection"),
        pytest.param(by_id(), CULPRIT, AWAY, id="502"),
        pytest.param(by_id(), CULPRIT, Answer(code=503), id="503"),
        pytest.param(by_id(), 1, AWAY, id="the first record"),
        pytest.param(by_id(), ORDERS, AWAY, id="the last record"),
        pytest.param(by_id(100), CULPRIT, AWAY, id="all records in one batch"),
        pytest.param(by_id(1), 1, AWAY, id="the first record, in a batch of its own"),
        pytest.param(by_id(1), ORDERS, AWAY, id="the last record, in a batch of its own"),
        pytest.param(one_by_one(), 1, AWAY, id="the first record of a function of one record"),
        pytest.param(one_by_one(), CULPRIT, GONE, id="a function of one record"),
    ],
)
def test_only_the_record_for_which_the_node_stops_answering_fails(
    engine: Engine, service: Service, culprit: int, answer: Answer
) -> None:
    with scripted_node(script(losing(culprit), answer)) as node:
        write(engine, node, service)
        assert counts(pull(engine, service, node.node())) == Counts(pulled=ORDERS - 1, failed=1)
        assert without_result(engine) == [culprit]
        reason = str(orders(engine)[culprit].pull_error)
        assert reason.startswith("the node stops answering when it is asked for the result: ")
        assert refused_records(engine) == {str(culprit): ("failed", 1)}
        assert lane_row(engine, "pull").failures == 0
        node.asked.clear()
        assert counts(pull(engine, service, node.node())) == Counts(in_flight=1), "no lane stops for it"
        assert {tuple(ids) for ids in requests(node)} == {(culprit,)}
        write_orders(engine, [1], first=ORDERS + 1)
        push(engine, service, node.node())
        node.script, node.asked[:] = script(losing(culprit), answer, latest=ORDERS + 1), []
        assert counts(pull(engine, service, node.node())) == Counts(pulled=1, failed=1)
        assert len(requests(node)) <= 5
        node.script = script(losing(), latest=ORDERS + 1)
        assert counts(pull(engine, service, node.node())) == Counts(pulled=1)
    assert without_result(engine) == []
    assert refused_records(engine) == {}


def test_a_result_that_never_arrives_in_time_fails_alone(engine: Engine) -> None:
    service = by_id()
    slow = Answer(behaviour=lambda connection: sleep(0.3))
    with scripted_node(script(losing(CULPRIT), slow)) as node:
        write(engine, node, service)
        limits = Limits(connect_timeout=1, read_timeout=0.1)
        context = LaneContext(
            engine, service, service.protocols[0], node.node(), holder="test", limits=limits
        )
        report = pull_lane(context)
    assert counts(report) == Counts(pulled=ORDERS - 1, failed=1)
    assert "it does not answer in time" in report.reasons[str(CULPRIT)]


def test_few_requests_find_the_record_and_the_next_batches_are_as_large_as_was_answered(
    engine: Engine,
) -> None:
    service = by_id(16)
    with scripted_node(script(losing(CULPRIT), AWAY)) as node:
        write(engine, node, service)
        pull(engine, service, node.node())
        sizes = [len(ids) for ids in requests(node)]
    assert sizes == [16, 4, 4, 4, 1, 1, 1, 1, 1, 4, *[4] * 6]


def test_several_records_next_to_each_other_fail_where_the_node_answers_for_a_later_one(
    engine: Engine,
) -> None:
    culprits = [1, 2, 3, 4, 5]
    with scripted_node(script(losing(*culprits))) as node:
        write(engine, node, by_id())
        assert counts(pull(engine, by_id(), node.node())) == Counts(
            pulled=ORDERS - len(culprits), failed=len(culprits)
        )
    assert without_result(engine) == culprits


@pytest.mark.parametrize(
    "service", [by_id(), by_id(1), one_by_one()], ids=["batches", "batches of one", "a function"]
)
def test_one_accident_fails_no_record(engine: Engine, service: Service) -> None:
    first = iter([True])
    with scripted_node(script(lambda ids: next(first, False))) as node:
        write(engine, node, service)
        assert counts(pull(engine, service, node.node())) == Counts(pulled=ORDERS)


@pytest.mark.parametrize("size", [1, 10, 100])
def test_a_node_that_answers_no_request_for_results_stops_the_lane_and_no_record_fails(
    engine: Engine, size: int
) -> None:
    service = by_id(size)
    with scripted_node(script(lambda ids: True, AWAY)) as node:
        write(engine, node, service)
        stopped = pull_stops(engine, service, node.node())
        assert stopped.transient
        assert counts(stopped.report).failed == 0
        assert len(requests(node)) < 15, "it is found soon"
        node.script = script(losing())
        assert counts(pull(engine, service, node.node())) == Counts(pulled=ORDERS)


@pytest.mark.parametrize("size", [1, 100])
def test_records_that_failed_before_are_not_all_asked_for_where_the_node_answers_for_none(
    engine: Engine, size: int
) -> None:
    service = by_id(size)

    def failing(asked: Asked) -> Answer:
        if asked.path != PULL:
            return success(ORDERS if asked.path == STATUS else "")
        return success({str(number): "a bug" for number in asked.body["ids"]})

    with scripted_node(failing) as node:
        write(engine, node, service)
        assert counts(pull(engine, service, node.node())) == Counts(failed=ORDERS)
        node.script, node.asked[:] = script(lambda ids: True, AWAY), []
        assert counts(pull(engine, service, node.node())) == Counts(in_flight=ORDERS)
        assert len(requests(node)) <= 5
    assert {order.pull_error for order in orders(engine).values()} == {"a bug"}


def test_a_node_that_stops_answering_during_a_pull_fails_no_record(engine: Engine) -> None:
    service = by_id()
    with scripted_node(script(lambda ids: min(ids) > 20)) as node:
        write(engine, node, service)
        stopped = pull_stops(engine, service, node.node())
        assert counts(stopped.report) == Counts(pulled=20)
        assert refused_records(engine) == {}
        node.script = script(losing())
        assert counts(pull(engine, service, node.node())) == Counts(pulled=20)


def test_a_node_that_fails_at_the_ping_too_stops_the_lane_at_once(engine: Engine) -> None:
    service = by_id()
    with scripted_node(script(losing(CULPRIT))) as node:
        write(engine, node, service)
        answers = node.script
        node.script = lambda asked: GONE if asked.path == PING else answers(asked)
        stopped = pull_stops(engine, service, node.node())
        assert counts(stopped.report) == Counts(pulled=10)
    assert refused_records(engine) == {}


def test_a_pause_that_the_node_asks_for_is_no_fault_of_a_record(engine: Engine) -> None:
    service = by_id()
    pause = Answer(code=503, headers={"Retry-After": "60"})
    with scripted_node(script(losing(CULPRIT), pause)) as node:
        write(engine, node, service)
        stopped = pull_stops(engine, service, node.node())
    assert stopped.asked
    assert refused_records(engine) == {}


def test_a_record_that_the_node_may_not_have_processed_does_not_fail(engine: Engine) -> None:
    service = by_id()
    with scripted_node(script(losing(30), latest=20)) as node:
        write(engine, node, service)
        assert counts(pull(engine, service, node.node())).pulled == 20
        report = counts(pull(engine, service, node.node()))
        assert (report.failed, refused_records(engine)) == (0, {})
        assert report.pulled == 19, "the node names the same record again, so the later ones are asked for"
        assert counts(pull(engine, service, node.node())) == NOTHING
        node.script = script(losing())
        assert counts(pull(engine, service, node.node())) == Counts(pulled=1)
