"""Limits of a run: records, seconds, and what a node takes per request, per second, and in bytes."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import PUSH, QUICK, lane_row, push, sent, sent_ids
from tests.operations.delivery.refusals import refusing_these
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import Order, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.reports import PushReport
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.limits import RateLimiter, RunLimits
from workmesh_flows.operations.delivery.push import batch_size, push_lane

SERVICE = "shop.orders"


def bounded(
    engine: Engine, node: Node, run_limits: RunLimits, size: int | None = 10, **limits: Any
) -> PushReport:
    service = shop_service(batch_size=size)
    known = Limits(connect_timeout=1, read_timeout=5, **limits)
    return push_lane(
        LaneContext(engine, service, service.protocols[0], node, "test", limits=known), run_limits
    )


def test_a_run_ends_after_a_number_of_records_and_reports_the_rest(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 25)
    with scripted_node() as node:
        report = bounded(engine, node.node(), RunLimits(records=12))
        assert (counts(report), report.not_reached) == (Counts(pushed=12), 13)
        assert str(report) == "order to n1: pushed 12 of 12, 13 not reached"
        report = bounded(engine, node.node(), RunLimits(records=13))
        assert (counts(report), report.not_reached) == (Counts(pushed=13), 0)
    assert [len(batch) for batch in sent(node.asked)] == [10, 2, 10, 3]


def test_a_refused_record_counts_against_the_limit(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 25)
    write_orders(engine, range(1, 26))
    with scripted_node(refusing_these(2)) as node:
        report = bounded(engine, node.node(), RunLimits(records=5))
    assert (counts(report), report.not_reached) == (Counts(pushed=4, refused=1), 20)


def test_a_run_ends_after_a_time_between_two_batches(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 100)

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH:
            time.sleep(0.2)
        return success()

    with scripted_node(script) as node:
        report = bounded(engine, node.node(), RunLimits(seconds=0.3))
        count = len(sent(node.asked))
        assert 1 <= count <= 2
        assert (report.pushed, report.not_reached) == (count * 10, 100 - count * 10)
        assert with_push_success(engine, True) == list(range(1, count * 10 + 1))
        assert lane_row(engine).holder is None
        node.script = lambda asked: success()
        assert bounded(engine, node.node(), RunLimits()).pushed == 100 - count * 10
    assert sent_ids(node.asked) == list(range(1, 101))


def test_a_stopped_lane_reports_the_records_that_it_did_not_read(engine: Engine) -> None:
    from tests.operations.delivery.lane_runs import push_stops

    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 25)
    with scripted_node(refusing_these(15, answer=Answer(code=429))) as node:
        stopped = push_stops(engine, shop_service(), node.node())
    assert isinstance(stopped.report, PushReport)
    assert (counts(stopped.report), stopped.report.not_reached) == (Counts(pushed=10, waiting=10), 5)


def test_a_node_may_limit_the_records_of_a_batch(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 25)
    with scripted_node() as node:
        push(engine, shop_service(), node.node(max_batch={SERVICE: 4, "another": 1}))
    assert [len(batch) for batch in sent(node.asked)] == [4, 4, 4, 4, 4, 4, 1]


@pytest.mark.parametrize(
    ("declared", "more", "size"),
    [
        pytest.param(10, {}, 10, id="as declared"),
        pytest.param(10, {"max_batch": {SERVICE: 50}}, 10, id="a node that takes more"),
        pytest.param(10, {"max_rate": {SERVICE: 4.5}}, 4, id="a second's worth"),
        pytest.param(10, {"max_rate": {SERVICE: 0.2}}, 1, id="less than one a second"),
        pytest.param(10, {"max_batch": {SERVICE: 3}, "max_rate": {SERVICE: 4}}, 3, id="both"),
        pytest.param(None, {"max_batch": {SERVICE: 3}}, 1, id="a record a request"),
        pytest.param(10, {"max_batch": {"another": 3}}, 10, id="another service's"),
    ],
)
@pytest.mark.parametrize("setting", [None, 2], ids=["", "settings: 2"])
def test_the_smallest_limit_determines_the_batch_size(
    declared: int | None, more: dict[str, Any], size: int, setting: int | None
) -> None:
    service = shop_service(batch_size=declared)
    way = service.protocols[0].push
    assert way is not None
    node = Node(name="n1", host="h", api_key="k", services=(SERVICE,), **more)  # type: ignore[arg-type]
    work = LaneContext(None, service, service.protocols[0], node, "test", Limits(max_batch=setting))  # type: ignore[arg-type]
    assert batch_size(work, way) == min(size, setting or size)


@pytest.mark.parametrize("size", [10, None], ids=["batches", "a record a request"])
def test_a_nodes_limit_of_records_a_second_is_respected(engine: Engine, size: int | None) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 30)
    with scripted_node() as node:
        began = time.monotonic()
        report = bounded(engine, node.node(max_rate={SERVICE: 40.0}), RunLimits(), size)
    assert report.pushed == 30
    assert time.monotonic() - began >= (30 - (size or 1)) / 40


def test_the_rate_limiter_never_delays_the_first_batch_and_returns_unsent_records() -> None:
    limiter, stop = RateLimiter(100.0), threading.Event()
    began = time.monotonic()
    limiter.wait(20, stop)
    assert time.monotonic() - began < 0.15
    limiter.give_back(20)
    limiter.wait(10, stop)
    assert time.monotonic() - began < 0.15
    limiter.wait(1, stop)
    assert time.monotonic() - began >= 0.1
    stop.set()
    RateLimiter(0.001).wait(1, stop)
    slow = RateLimiter(0.001)
    slow.wait(1, stop)
    slow.wait(1, stop)  # a thousand seconds, were it not for the stop
    RateLimiter(None).wait(10_000, threading.Event())


def test_a_batch_with_too_many_bytes_is_split_without_a_lasting_limit(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 30)
    with Session(engine) as session, session.begin():
        session.execute(update(Order).where(Order.id.in_([11, 14])).values(text="x" * 150))
    with scripted_node() as node:
        bare = len(_payload(node.node(), 10))
        report = bounded(engine, node.node(), RunLimits(), max_request_bytes=bare + 100)
    assert counts(report) == Counts(pushed=30)
    assert [len(batch) for batch in sent(node.asked)] == [10, 5, 5, 10]
    assert max(len(asked.raw) for asked in node.asked) <= bare + 100 + 80, "the key comes on top"
    assert sent_ids(node.asked) == list(range(1, 31))
    assert (lane_row(engine).batch_limit, lane_row(engine).next_batch) == (None, None)


def _payload(node: Node, records: int) -> bytes:
    """The approximate size in bytes of a request with this number of orders."""
    one = b'{"id":11,"Group":1,"where":"2026-03-01T12:00:11.000000+00:00","text":"order 11"},'
    assert node.name == "n1"
    return one * records


def test_a_single_record_with_too_many_bytes_is_sent(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 5)
    with scripted_node() as node:
        assert counts(bounded(engine, node.node(), RunLimits(), max_request_bytes=10)) == Counts(pushed=5)
        assert [len(batch) for batch in sent(node.asked)] == [1] * 5
        write_orders(engine, [1] * 10, first=6)
        push(engine, shop_service(), node.node())
    assert len(sent(node.asked)[-1]) == 10
    assert QUICK.max_request_bytes > 10
