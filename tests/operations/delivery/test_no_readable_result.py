"""A node that has no readable result for any record is at fault: its lane stops, and no record is flagged for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import PULL, STATUS, pull, pull_stops, push
from tests.operations.delivery.refusals import refused_records
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, ScriptedNode, failure, scripted_node, success
from tests.support.shop import PULL_FLAGS, Order, orders, shop_service, write_orders, write_shops
from workmesh_flows import Pull, RecordRefused, Service, get
from workmesh_flows.operations.delivery.unreadable_results import MOST_WITHHELD

ORDERS = 40
NO_NUMBER = {"score": "many"}


def by_id(size: int = 10) -> Service:
    fetch = get(PULL, into={"score": Order.score}, batch_size=size)
    return shop_service(pull=Pull(STATUS, fetch, flags=PULL_FLAGS))


def one_by_one() -> Service:
    def fetch(order: Order, node: Any) -> dict[str, int]:
        result = node.post(PULL, {"ids": [order.id]})[str(order.id)]
        if not isinstance(result, dict):
            raise RecordRefused(f"what is {result}?")
        return result

    return shop_service(pull=Pull(STATUS, fetch, flags=PULL_FLAGS))


def script(result: Callable[[int], Any], latest: int = ORDERS) -> Any:
    """A node that has this result for a record; an Answer is given to the whole request."""

    def answered(asked: Asked) -> Answer:
        if asked.path == STATUS:
            return success(latest)
        if asked.path != PULL:
            return success()
        results = {str(number): result(number) for number in asked.body["ids"]}
        whole = [one for one in results.values() if isinstance(one, Answer)]
        return whole[0] if whole else success(results)

    return answered


def fine(number: int) -> dict[str, int]:
    return {"score": number}


def write(engine: Engine, node: ScriptedNode, service: Service, shops: int = 10) -> None:
    write_shops(engine, ["n1"] * shops)
    write_orders(engine, [1 + number % shops for number in range(ORDERS)])
    assert push(engine, service, node.node()).pushed == ORDERS
    node.asked.clear()


def requests(node: ScriptedNode) -> int:
    return sum(asked.path == PULL for asked in node.asked)


@pytest.mark.parametrize(
    ("service", "rubbish", "reason"),
    [
        pytest.param(by_id(), float("nan"), "the result is nan, which is neither", id="NaN for each record"),
        pytest.param(by_id(), 7, "the result is 7, which is neither", id="a number for each record"),
        pytest.param(by_id(), [1], "the result is [1], which is neither", id="a list for each record"),
        pytest.param(by_id(), NO_NUMBER, "does not fit score", id="a value that does not fit"),
        pytest.param(by_id(), failure("closed"), "closed", id="each request refused"),
        pytest.param(by_id(), Answer(b"<html>"), "is not JSON", id="HTML"),
        pytest.param(by_id(), Answer(code=500), "the node crashes on it", id="a crash"),
        pytest.param(by_id(), Answer(code=413), "too large", id="413"),
        pytest.param(by_id(), success([1]), "returns results as a list, not by id", id="one list"),
        pytest.param(by_id(), success("soon"), "returns results as a str, not by id", id="one text"),
        pytest.param(by_id(100), Answer(code=500), "crashes", id="a crash, all records in one request"),
        pytest.param(by_id(1), Answer(code=500), "crashes", id="a crash, a request for each"),
        pytest.param(one_by_one(), "rubbish", "what is rubbish?", id="a function that refuses each answer"),
        pytest.param(one_by_one(), Answer(b"<html>"), "is not JSON", id="a function, HTML"),
    ],
)
def test_the_lane_stops_with_the_reason_and_no_record_is_flagged(
    engine: Engine, service: Service, rubbish: Any, reason: str
) -> None:
    with scripted_node(script(lambda number: rubbish)) as node:
        write(engine, node, service)
        for _ in range(2):
            stopped = pull_stops(engine, service, node.node())
            assert counts(stopped.report) == Counts(in_flight=ORDERS)
            assert "it has no readable result: records of 10 entities were asked for" in str(stopped)
            assert reason in str(stopped)
        assert all(order.pull_time is None for order in orders(engine).values())
        assert refused_records(engine) == {}
        node.script = script(fine)
        assert counts(pull(engine, service, node.node())) == Counts(pulled=ORDERS)


@pytest.mark.parametrize("rubbish", [float("nan"), NO_NUMBER, Answer(code=500)], ids=str)
def test_records_at_fault_fail_alone_where_the_node_has_one_readable_result(
    engine: Engine, rubbish: Any
) -> None:
    service = by_id()
    with scripted_node(script(lambda number: fine(number) if number == 35 else rubbish)) as node:
        write(engine, node, service)
        assert counts(pull(engine, service, node.node())) == Counts(pulled=1, failed=ORDERS - 1)
        assert orders(engine)[35].score == 35
        assert len(refused_records(engine)) == ORDERS - 1
        again = pull(engine, service, node.node())
        assert counts(again) == Counts(failed=ORDERS - 1), "failed before: no sign of a fault of the node"


def test_a_failure_that_the_node_states_is_the_records_own(engine: Engine) -> None:
    service = by_id()
    with scripted_node(script(lambda number: "no text")) as node:
        write(engine, node, service)
        assert counts(pull(engine, service, node.node())) == Counts(failed=ORDERS)


def test_a_stated_failure_shows_that_the_node_answers_readably(engine: Engine) -> None:
    service = by_id()
    with scripted_node(script(lambda number: "no text" if number == 1 else 7)) as node:
        write(engine, node, service)
        assert counts(pull(engine, service, node.node())) == Counts(failed=ORDERS)


def test_records_of_two_entities_fail_since_nothing_shows_that_the_node_is_at_fault(engine: Engine) -> None:
    service = by_id()
    with scripted_node(script(lambda number: Answer(code=500))) as node:
        write(engine, node, service, shops=2)
        assert counts(pull(engine, service, node.node())) == Counts(failed=ORDERS)


def test_a_node_that_crashes_on_everything_is_not_asked_for_each_of_many_records(engine: Engine) -> None:
    service = by_id(100)
    with scripted_node(script(lambda number: Answer(code=500), latest=ORDERS + 160)) as node:
        write(engine, node, service)
        write_orders(engine, [1 + number % 10 for number in range(160)], first=ORDERS + 1)
        push(engine, service, node.node())
        node.asked.clear()
        stopped = pull_stops(engine, service, node.node())
        assert counts(stopped.report) == Counts(in_flight=100), "the run ends after a page"
        assert MOST_WITHHELD <= 100
        assert requests(node) < 200
