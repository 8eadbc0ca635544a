"""Bugs that `test_model.py` found, each as the shortest sequence of events that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import PUSH, pull, push, push_stops
from tests.operations.delivery.refusals import few_attempts, refused_records, refusing_these
from tests.operations.moves.movers import flags, former, moving, steps
from tests.reliability.model.model_node import ModelNode
from tests.support.counts import NOTHING, Counts, counts
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import shop_service, write_orders, write_shops
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.service import Service
from workmesh_flows.operations.delivery.replay import decide_refused
from workmesh_flows.operations.moves.hand_over import hand_over
from workmesh_flows.operations.moves.reassign import repush


@contextmanager
def model_nodes() -> Iterator[tuple[ModelNode, ModelNode, Node, Node]]:
    """Two nodes that know records by their ids, and their inventory entries."""
    one, two = ModelNode("n1", 1), ModelNode("n2", 2)
    with scripted_node(one) as first, scripted_node(two) as second:
        yield one, two, first.node("shop.orders"), second.node("shop.orders", name="n2")


def lose_the_answer(engine: Engine, service: Service, one: ModelNode, node: Node) -> None:
    """Push all orders; then push order 3, whose answer is lost after the node has accepted it."""
    push(engine, service, node)
    write_orders(engine, [1], first=3)
    one.faults.answers_lost, one.faults.pings_lost = 2, 1  # it is sent twice
    push_stops(engine, service, node)


def test_a_node_may_name_a_record_whose_answer_was_lost_before_its_entity_was_moved(
    engine: Engine,
) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [2, 2])
    with model_nodes() as (one, _, n1, n2):
        lose_the_answer(engine, service, one, n1)
        hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"))
        assert former(engine) == []
        one.process(3)
        assert counts(pull(engine, service, n1)) == Counts(pulled=2)
        assert counts(pull(engine, service, n1)) == NOTHING
    assert flags(engine, pulled=True) == {1: True, 2: True, 3: None}


def test_a_node_may_still_name_a_moved_record_after_it_was_pulled_from_another_node(
    engine: Engine,
) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [2, 1])
    with model_nodes() as (one, two, n1, n2):
        push(engine, service, n1)
        hand_over(moving(engine, service, n1, n2), steps([1], "n1", "n2"))
        push(engine, service, n2)
        two.process(1)
        pull(engine, service, n2)
        one.process(2)
        assert counts(pull(engine, service, n1)) == Counts(pulled=1)
        assert former(engine) == [], "the pulled record is not kept as a former push"
        assert counts(pull(engine, service, n1)) == NOTHING
        write_orders(engine, [2], first=3)
        push(engine, service, n1)
        assert counts(pull(engine, service, n1)) == NOTHING


def test_records_sent_again_to_their_node_are_pulled_although_the_node_never_names_them_again(
    engine: Engine,
) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 1, 2])
    with model_nodes() as (one, _, n1, _):
        push(engine, service, n1)
        one.process(3)
        assert pull(engine, service, n1).pulled == 3
        repush(moving(engine, service, n1), 1)
        assert push(engine, service, n1).pushed == 2
        assert pull(engine, service, n1).pulled == 2
    assert one.effects == [1, 2, 3]


def test_a_skipped_record_that_its_node_has_delays_no_results_of_others(
    engine: Engine,
) -> None:
    service = few_attempts(attempts=3)
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1])
    with model_nodes() as (one, _, n1, _):
        lose_the_answer(engine, service, one, n1)
        one.faults.answers_lost, one.faults.pings_lost = 2, 0
        assert counts(push(engine, service, n1)) == Counts(refused=1), "sent alone twice, and never answered"
        assert decide_refused(engine, service, "skip", records=["3"]) == 1
        one.process(3)
        assert pull(engine, service, n1).pulled == 2
    assert flags(engine, pulled=True) == {1: True, 2: True, 3: None}


def test_a_blocking_record_that_is_moved_to_another_lane_during_its_run_blocks_that_lane_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workmesh_flows.operations.delivery.lane_context.PAGE", 2)
    service = few_attempts(attempts=1, policy="block", batch_size=2)
    write_shops(engine, ["n1", "n2"])
    write_orders(engine, [1, *[2] * 8])
    moves = iter([1])

    def move_entity(asked: Asked) -> Answer:
        for entity in moves if asked.path == PUSH else ():
            hand_over(moving(engine, service, n1, n2), steps([entity], "n1", "n2"))
        return success()

    with scripted_node(refusing_these(1)) as one, scripted_node(move_entity) as two:
        n1, n2 = one.node("shop.orders"), two.node("shop.orders", name="n2")
        push_stops(engine, service, n1)
        assert refused_records(engine)["1"] == ("blocking", 1)
        assert "record 1 blocks it" in str(push_stops(engine, service, n2))
    assert flags(engine, pulled=False) == {1: False, 2: True, 3: True} | dict.fromkeys(range(4, 10))
