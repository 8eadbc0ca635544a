"""Tests for behaviour that mutants showed to be untested; `make mutants` runs the mutants."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from tests.operations.delivery.lane_runs import (
    PUSH,
    QUICK,
    context_on,
    lane_row,
    push,
    push_stops,
    refusing,
    sent,
    sent_ids,
)
from tests.operations.moves.movers import moving, steps, two_nodes
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, failure, scripted_node, success
from tests.support.shop import PUSH_FLAGS, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows import Push, Service, post
from workmesh_flows.adapters.store.schema import lanes, parked
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.protocol import Policy
from workmesh_flows.errors import LanePaused, LaneStopped
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.moves.hand_over import hand_over

UNAVAILABLE = Answer(code=503)
BREAKER = replace(QUICK, breaker_failures=3, breaker_seconds=60)


def with_two_attempts(policy: Policy = "park_entity", *, batch_size: int | None = 10) -> Service:
    """The service over orders; a record that is refused twice is parked."""
    send = post(PUSH, "order" if batch_size is None else "orders", batch_size=batch_size)
    return shop_service(push=Push(send, flags=PUSH_FLAGS, max_attempts=2, policy=policy))


def refused_records(engine: Engine) -> dict[str, tuple[str, int]]:
    """State and attempts of each refused record."""
    with engine.connect() as connection:
        rows = connection.execute(select(parked.c.record, parked.c.state, parked.c.attempts))
        return {row.record: (row.state, row.attempts) for row in rows}


def push_with_limits(engine: Engine, limits: Limits, node: Any) -> None:
    push_lane(context_on(engine, shop_service(), node, limits=limits))


def test_attempts_are_counted_across_runs_and_the_last_one_parks_the_record(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 3)
    with scripted_node(refusing(lambda number: number == 3, failure("no"))) as node:
        first = push(engine, with_two_attempts(), node.node())
        assert (first.pushed, first.refused, first.parked, first.waiting) == (4, 1, 0, 1)
        assert refused_records(engine) == {"3": ("trying", 1)}
        second = push(engine, with_two_attempts(), node.node())
        assert (second.pushed, second.refused, second.parked, second.waiting) == (0, 0, 1, 1)
    assert refused_records(engine) == {"3": ("parked", 2)}


@pytest.mark.parametrize("batch_size", [10, None], ids=["batches", "single records"])
def test_no_record_of_an_owner_with_a_parked_record_is_sent_even_if_written_later(
    engine: Engine, batch_size: int | None
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 3)
    service = with_two_attempts(batch_size=batch_size)
    with scripted_node(refusing(lambda number: number == 3, failure("no"))) as node:
        push(engine, service, node.node())
        push(engine, service, node.node())
        write_orders(engine, [1, 2], first=7)
        node.asked.clear()
        assert counts(push(engine, service, node.node())) == Counts(pushed=1)
    assert sent_ids(node.asked) == [8]
    assert with_push_success(engine, None) == [5, 7]


def test_a_blocking_record_blocks_later_runs_of_its_lane_too(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 3)
    service = with_two_attempts("block")
    with scripted_node(refusing(lambda number: number == 3, failure("no"))) as node:
        push(engine, service, node.node())
        assert "record 3 blocks it: no" in push_stops(engine, service, node.node()).reason
        write_orders(engine, [2], first=7)
        node.script = lambda asked: success()
        node.asked.clear()
        assert "record 3 blocks it: no" in push_stops(engine, service, node.node()).reason
    assert node.asked == []


def test_a_breaker_opens_at_the_declared_number_of_failures(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with scripted_node(lambda asked: UNAVAILABLE) as node:
        for failures in (1, 2):
            with pytest.raises(LaneStopped):
                push_with_limits(engine, BREAKER, node.node())
            row = lane_row(engine)
            assert (row.failures, row.breaker, row.retry_at) == (failures, "closed", None)
        with pytest.raises(LaneStopped):
            push_with_limits(engine, BREAKER, node.node())
        assert (lane_row(engine).failures, lane_row(engine).breaker) == (3, "open")
        node.asked.clear()
        with pytest.raises(LanePaused, match="after 3 consecutive failures"):
            push_with_limits(engine, BREAKER, node.node())
    assert node.asked == []


def test_an_opening_breaker_respects_a_longer_retry_after(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    busy = Answer(code=503, headers={"Retry-After": "86400"})
    opens_at_once = replace(BREAKER, breaker_failures=1)
    before = context_on(engine, shop_service(), None).clock()()  # type: ignore[arg-type]
    with scripted_node(lambda asked: busy) as node, pytest.raises(LaneStopped):
        push_with_limits(engine, opens_at_once, node.node())
    assert lane_row(engine).breaker == "open"
    assert lane_row(engine).retry_at >= before + timedelta(seconds=86_400)


@pytest.mark.parametrize("refused", [[], [2]], ids=["accepted", "one record refused"])
def test_an_accepted_batch_closes_the_breaker_and_resets_its_failures(
    engine: Engine, refused: list[int]
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])
    with scripted_node(lambda asked: UNAVAILABLE) as node:
        for _ in range(3):
            with pytest.raises(LaneStopped):
                push_with_limits(engine, BREAKER, node.node())
        with engine.begin() as connection:  # the pause is over
            connection.execute(update(lanes).values(retry_at=None, breaker="half-open"))
        node.script = lambda asked: success({"refused": dict.fromkeys(map(str, refused), "no")})
        push_with_limits(engine, BREAKER, node.node())
        assert (lane_row(engine).failures, lane_row(engine).breaker) == (0, "closed")
        write_orders(engine, [1], first=3)
        node.script = lambda asked: UNAVAILABLE
        with pytest.raises(LaneStopped):
            push_with_limits(engine, BREAKER, node.node())
    assert (lane_row(engine).failures, lane_row(engine).breaker) == (1, "closed")
    assert sent(node.asked)[0] == [1, 2]


def test_the_records_of_an_entity_moved_between_two_pages_are_sent_in_order(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workmesh_flows.operations.delivery.lane_context.PAGE", 10)
    service = shop_service(batch_size=5)
    write_shops(engine, ["n1", "n2", "n2"])
    write_orders(engine, [1, 2, 3] * 20)
    with two_nodes() as (_, two, n1, n2):

        def script(asked: Asked) -> Answer:
            if asked.path == PUSH and len(sent(two.asked)) == 2:
                hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"))
            return success()

        two.script = script
        report = push(engine, service, n2)
        rest = push(engine, service, n2)
    assert report.pushed + rest.pushed == 60
    assert [number for number in sent_ids(two.asked) if number % 3 == 1] == list(range(1, 60, 3))


def test_a_record_that_waits_at_the_end_of_a_page_is_counted_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workmesh_flows.operations.delivery.lane_context.PAGE", 10)
    write_shops(engine, ["n1", "n1", "n1"])
    write_orders(engine, [1, 2, 3, 2, 3, 2, 3, 2, 3, 1] + [2, 3] * 10)
    refused = success({"refused": {"1": "no"}})
    with scripted_node(lambda asked: refused if len(sent(node.asked)) == 1 else success()) as node:
        assert counts(push(engine, shop_service(batch_size=5), node.node())) == Counts(
            pushed=28, refused=1, waiting=1
        )
    assert with_push_success(engine, None) == [10]
