"""What a node asks for: smaller requests, and a pause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import (
    PING,
    PUSH,
    context_at,
    lane_row,
    push,
    push_stops,
    sent,
    sent_ids,
)
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, Script, scripted_node, success
from tests.support.shop import orders, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.errors import LaneBusy, LanePaused, LaneStopped
from workmesh_flows.operations.delivery.push import push_lane

TOO_LARGE = Answer(b"<h1>413</h1>", code=413)


def taking_at_most(records: int, *, never: int = 0) -> Script:
    """A node that takes a number of records at once, and refuses one of them even alone."""

    def script(asked: Asked) -> Answer:
        ids = [order["id"] for order in asked.body.get("orders", [])]
        return TOO_LARGE if len(ids) > records or never in ids else success()

    return script


def test_a_batch_that_is_too_large_is_split_and_its_size_saved_for_the_next_run(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 40)
    with scripted_node(taking_at_most(6)) as node:
        assert counts(push(engine, shop_service(batch_size=20), node.node())) == Counts(pushed=40)
        assert [len(batch) for batch in sent(node.asked)] == [20, 10, 5, 5, 10, 5, 5, 5, 5, 5, 5]
        assert sorted(set(sent_ids(node.asked))) == list(range(1, 41))
        assert lane_row(engine).batch_limit == 5
        node.asked.clear()
        write_orders(engine, [1] * 12, first=41)
        assert counts(push(engine, shop_service(batch_size=20), node.node())) == Counts(pushed=12)
    assert [len(batch) for batch in sent(node.asked)] == [5, 5, 2]


def test_a_single_record_that_is_too_large_is_refused_and_the_batches_stay_as_large(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 30)
    write_orders(engine, range(1, 31))
    with scripted_node(taking_at_most(100, never=4)) as node:
        report = push(engine, shop_service(batch_size=10), node.node())
    assert counts(report) == Counts(pushed=29, refused=1)
    assert orders(engine)[4].push_error == f"{PUSH} answers 413: the request is too large"
    assert lane_row(engine).batch_limit is None
    assert [len(batch) for batch in sent(node.asked)][-2:] == [10, 10]


def test_a_single_record_that_is_too_large_does_not_change_a_saved_batch_size(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 40)
    write_orders(engine, range(1, 41))
    with scripted_node(taking_at_most(5, never=33)) as node:
        report = push(engine, shop_service(batch_size=10), node.node())
    assert counts(report) == Counts(pushed=39, refused=1)
    assert lane_row(engine).batch_limit == 5


def test_records_of_a_request_each_that_are_too_large_are_refused(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2, 1])

    def script(asked: Asked) -> Answer:
        return TOO_LARGE if asked.body.get("order", {}).get("id") == 1 else success()

    with scripted_node(script) as node:
        report = push(engine, shop_service(batch_size=None), node.node())
    assert counts(report) == Counts(pushed=1, refused=1, waiting=1)
    assert with_push_success(engine, False) == [1]
    assert lane_row(engine).batch_limit is None


@pytest.mark.parametrize("path", [PING, PUSH])
@pytest.mark.parametrize("code", [429, 503])
def test_a_pause_that_a_node_asks_for_is_saved_in_the_database(engine: Engine, path: str, code: int) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 5)
    busy = Answer(code=code, headers={"Retry-After": "120"})
    with scripted_node(lambda asked: busy if asked.path == path else success()) as node:
        before = datetime.now(UTC)
        stopped = push_stops(engine, shop_service(), node.node())
        assert not stopped.transient, "to try again at once would find the lane waiting"
        until = lane_row(engine).retry_at
        assert timedelta(seconds=115) < until - before < timedelta(seconds=125)
        node.asked.clear()
        node.script = lambda asked: success()
        with pytest.raises(LanePaused, match="asked for a pause until") as waiting:
            push(engine, shop_service(), node.node())
        assert waiting.value.until == until
        assert node.asked == []
        later = context_at(lambda: until + timedelta(seconds=1), engine, shop_service(), node.node())
        assert counts(push_lane(later)) == Counts(pushed=5)
    assert lane_row(engine).retry_at is None


def test_a_pause_may_be_given_as_a_date(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    busy = Answer(code=503, headers={"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"})
    with scripted_node(lambda asked: busy) as node:
        push_stops(engine, shop_service(), node.node())
    assert lane_row(engine).retry_at > datetime.now(UTC)


@pytest.mark.parametrize("header", ["0", "Fri, 01 Jan 2016 00:00:00 GMT", "soon", "-5"])
def test_an_expired_or_unreadable_pause_is_ignored(engine: Engine, header: str) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with scripted_node(lambda asked: Answer(code=503, headers={"Retry-After": header})) as node:
        assert push_stops(engine, shop_service(), node.node()).transient
        node.script = lambda asked: success()
        assert push(engine, shop_service(), node.node()).pushed == 1


def test_a_pause_during_a_push_keeps_the_flags_of_accepted_records(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 25)
    answers = iter([success(), Answer(code=429, headers={"Retry-After": "60"})])
    with scripted_node(lambda asked: success() if asked.path == PING else next(answers)) as node:
        stopped = push_stops(engine, shop_service(), node.node())
    assert counts(stopped.report) == Counts(pushed=10, waiting=10)
    assert with_push_success(engine, True) == list(range(1, 11))


def test_a_lane_leased_by_another_run_is_busy_and_sends_nothing(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    inner: list[BaseException] = []

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH:
            try:
                push(engine, shop_service(), node.node())
            except LaneBusy as busy:
                inner.append(busy)
        return success()

    with scripted_node(script) as node:
        report = push(engine, shop_service(), node.node())
    assert counts(report) == Counts(pushed=3)
    assert [str(busy) for busy in inner] == [str(inner[0])]
    assert "lane order to n1: held by test until" in str(inner[0])
    assert node.paths() == [PING, PUSH]


def test_a_lane_is_free_again_after_a_stop(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with scripted_node(lambda asked: Answer(code=503)) as node:
        for _ in range(2):
            with pytest.raises(LaneStopped):
                push(engine, shop_service(), node.node())
    row = lane_row(engine)
    assert (row.holder, row.lease_until, row.epoch) == (None, None, 2)
