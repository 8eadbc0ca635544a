"""Decisions during a push, moves and repeated data: parked records keep their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import PUSH, push, push_stops, sent_ids
from tests.operations.delivery.refusals import few_attempts, refused_records, refusing_these
from tests.operations.moves.movers import moving, two_nodes
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, Script, scripted_node, success
from tests.support.shop import PUSH_FLAGS, Order, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows import NodeClient, Push
from workmesh_flows.operations.delivery.replay import decide_refused
from workmesh_flows.operations.moves.reassign import reassign, repush


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workmesh_flows.operations.delivery.lane_context.PAGE", 10)


def once(action: Callable[[], object]) -> Script:
    """A node that accepts everything, and calls a function at the first push."""
    first: Iterator[bool] = iter([True])

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH and next(first, False):
            action()
        return success()

    return script


def test_a_replay_during_a_push_sends_the_released_records_in_order(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 30)
    service = few_attempts(attempts=1, batch_size=5)
    with scripted_node(refusing_these(1)) as node:
        push(engine, service, node.node())
        write_orders(engine, [2] * 30 + [1] * 3, first=61)
        node.asked.clear()
        node.script = once(lambda: decide_refused(engine, service, "replay"))
        report = push(engine, service, node.node())
    assert counts(report) == Counts(pushed=63)
    arrived = sent_ids(node.asked)
    first_shop = [number for number in arrived if number < 60 or number > 90]
    assert first_shop == [*range(1, 60, 2), 91, 92, 93]
    assert [number for number in arrived if 60 < number <= 90] == list(range(61, 91))
    assert refused_records(engine) == {}


def test_a_record_that_is_skipped_during_a_push_is_not_sent_by_it(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 32)
    write_orders(engine, [2] * 30 + [1] * 3)
    service = few_attempts(attempts=5, batch_size=5)
    with scripted_node(refusing_these(31)) as node:
        assert push(engine, service, node.node()).refused == 1
        assert refused_records(engine) == {"31": ("trying", 1)}
        write_orders(engine, range(3, 33), first=1_001)
        _before(engine, 1_001)
        node.asked.clear()
        node.script = once(lambda: decide_refused(engine, service, "skip", records=["31"]))
        report = push(engine, service, node.node())
    assert counts(report) == Counts(pushed=32)
    assert [number for number in sent_ids(node.asked) if number < 1_000] == [32, 33]
    assert refused_records(engine) == {"31": ("skipped", 1)}


def _before(engine: Engine, first: int) -> None:
    """Give the orders from this number on a time before all others."""
    from datetime import timedelta

    from sqlalchemy import update

    from tests.support.shop import START

    with engine.begin() as connection:
        connection.execute(update(Order).where(Order.id >= first).values(at=START - timedelta(days=1)))


def test_a_record_that_is_skipped_while_it_is_refused_stays_skipped(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 2)
    decisions: list[int] = []

    def send(batch: list[Order], node: NodeClient) -> dict[str, str]:
        del node
        if refused_records(engine):
            decisions.append(decide_refused(engine, service, "skip", records=["1"]))
        return {str(order.id): "no" for order in batch if order.id == 1}

    service = shop_service(push=Push(send, flags=PUSH_FLAGS, batch_size=1, max_attempts=5))
    with scripted_node() as node:
        push(engine, service, node.node())
        push(engine, service, node.node())
        assert decisions[0] == 1
        assert refused_records(engine)["1"][0] == "skipped"
        assert push(engine, service, node.node()).pushed == 1
    assert with_push_success(engine, True) == [2]


def test_a_record_stays_parked_when_its_entity_moves(engine: Engine) -> None:
    service = few_attempts(attempts=1)
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 3)
    with two_nodes(refusing_these(3)) as (_, two, n1, n2):
        push(engine, service, n1)
        there = moving(engine, service, n1, n2)
        reassign(there, 1)
        assert refused_records(engine) == {"3": ("parked", 1)}
        assert push(engine, service, n2).selected == 0, "its entity waits as a whole"
        decide_refused(engine, service, "replay", entities=["1"])
        assert counts(push(engine, service, n2)) == Counts(pushed=3)
    assert sent_ids(two.asked) == [1, 3, 5]


def test_a_blocking_record_blocks_the_lane_of_its_new_node(engine: Engine) -> None:
    service = few_attempts(attempts=1, policy="block", batch_size=1)
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])
    with two_nodes(refusing_these(1)) as (one, two, n1, n2):
        push_stops(engine, service, n1)
        reassign(moving(engine, service, n1, n2), 1)
        one.asked.clear()
        assert "record 1 blocks it" in str(push_stops(engine, service, n2))
        assert two.asked == [] or sent_ids(two.asked) == []
        assert push(engine, service, n1).pushed == 1, "the lane that it left goes on"
    assert sent_ids(one.asked) == [2]


@pytest.mark.parametrize("moved", [False, True])
def test_sending_all_data_again_resets_the_refusals(engine: Engine, moved: bool) -> None:
    service = few_attempts(attempts=1)
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 2)
    with two_nodes(refusing_these(1, 2)) as (one, two, n1, n2):
        push(engine, service, n1)
        assert sorted(refused_records(engine)) == ["1", "2"]
        there = moving(engine, service, n1, n2)
        if moved:
            reassign(there, 1, repush=True)
        else:
            repush(there, 1)
        assert refused_records(engine) == {"2": ("parked", 1)}
        one.script = lambda asked: success()
        one.asked.clear()
        push(engine, service, n2 if moved else n1)
    assert sent_ids((two if moved else one).asked) == [1, 3]
