"""Records that are refused repeatedly: counted once per run, finally parked, until a decision."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine, event, update
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import lane_row, push, push_stops, sent, sent_ids
from tests.operations.delivery.refusals import few_attempts, refused_records, refusing_these
from tests.support.counts import NOTHING, Counts, counts
from tests.support.scripted_node import Answer, Asked, Script, failure, scripted_node, success
from tests.support.shop import (
    PUSH_FLAGS,
    Order,
    orders,
    shop_service,
    with_push_success,
    write_orders,
    write_shops,
)
from workmesh_flows import Push, RecordRefused
from workmesh_flows.domain.protocol import Policy
from workmesh_flows.operations.delivery.replay import decide_refused


def test_a_record_that_is_refused_for_the_last_time_is_parked_and_only_its_owner_waits(
    engine: Engine,
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 5)
    service = few_attempts(attempts=3)
    with scripted_node(refusing_these(3)) as node:
        assert counts(push(engine, service, node.node())) == Counts(pushed=6, refused=1, waiting=3)
        assert refused_records(engine) == {"3": ("trying", 1)}
        assert counts(push(engine, service, node.node())) == Counts(refused=1, waiting=3)
        assert refused_records(engine) == {"3": ("trying", 2)}
        report = push(engine, service, node.node())
        assert counts(report) == Counts(parked=1, waiting=3)
        assert report.not_reached == 0
        assert (str(report), report.reasons) == (
            "order to n1: pushed 0 of 4, 1 parked, 3 waiting",
            {"3": "no good"},
        )
        assert refused_records(engine) == {"3": ("parked", 3)}
        node.asked.clear()
        assert counts(push(engine, service, node.node())) == NOTHING
        assert node.asked == []
        write_orders(engine, [2, 1], first=11)
        assert counts(push(engine, service, node.node())) == Counts(pushed=1)
        assert sent(node.asked) == [[11]]
    row = lane_row(engine)
    assert (row.done, row.refused) == (7, 3)
    order = orders(engine)[3]
    assert (order.push_success, order.push_error) == (False, "no good")


def test_a_run_sends_nothing_that_waits_behind_a_record_that_it_parked(
    engine: Engine,
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1] + [1, 2] * 2_100)
    service = few_attempts(attempts=1, batch_size=1_000)
    with scripted_node(refusing_these(1)) as node:
        report = push(engine, service, node.node())
    assert (report.pushed, report.parked, report.not_reached) == (2_100, 1, 0)
    assert counts(report).selected < 4_201, "later pages do not read it any more"


def test_parked_records_are_not_read(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1] * 5 + [2])
    service = few_attempts(attempts=1)
    read: list[int] = []

    def loaded(order: Order, context: object) -> None:
        del context
        read.append(order.id)

    def send(batch: list[Order], client: object) -> dict[str, str]:
        del client
        return {str(order.id): "no" for order in batch if order.id == 1}

    service = shop_service(push=Push(send, flags=PUSH_FLAGS, batch_size=1, max_attempts=1))
    event.listen(Order, "load", loaded)
    try:
        with scripted_node() as node:
            push(engine, service, node.node())
            read.clear()
            write_orders(engine, [2], first=7)
            push(engine, service, node.node())
    finally:
        event.remove(Order, "load", loaded)
    assert read == [7]


def test_a_success_resets_the_attempts(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 2)
    service = few_attempts(attempts=3)
    with scripted_node(refusing_these(1)) as node:
        for _ in range(2):
            push(engine, service, node.node())
        assert refused_records(engine) == {"1": ("trying", 2)}
        node.script = refusing_these(2)
        assert counts(push(engine, service, node.node())) == Counts(pushed=1, refused=1)
    assert refused_records(engine) == {"2": ("trying", 1)}


def test_a_replay_resets_the_attempts_and_the_waiting_records_follow_in_order(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 4)
    service = few_attempts(attempts=2)
    with scripted_node(refusing_these(2)) as node:
        for _ in range(2):
            push(engine, service, node.node())
        assert refused_records(engine) == {"2": ("parked", 2)}
        assert decide_refused(engine, service, "replay") == 1
        assert refused_records(engine) == {}
        assert counts(push(engine, service, node.node())) == Counts(refused=1, waiting=2)
        assert refused_records(engine) == {"2": ("trying", 1)}
        node.asked.clear()
        node.script = lambda asked: success()
        assert counts(push(engine, service, node.node())) == Counts(pushed=3)
    assert sent_ids(node.asked) == [2, 3, 4]
    assert refused_records(engine) == {}


def test_a_parked_record_that_was_edited_is_sent_with_its_new_content(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    service = few_attempts(attempts=1)

    def script(asked: Asked) -> Answer:
        return (
            failure("no text")
            if '"text":"order 1"' in json.dumps(asked.body, separators=(",", ":"))
            else success()
        )

    with scripted_node(script) as node:
        push(engine, service, node.node())
        with Session(engine) as session, session.begin():
            session.execute(update(Order).values(text="fixed"))
        assert push(engine, service, node.node()).selected == 0
        decide_refused(engine, service, "replay", records=["1"])
        assert push(engine, service, node.node()).pushed == 1
    assert node.asked[-1].body["orders"][0]["text"] == "fixed"
    assert orders(engine)[1].push_error is None


def test_a_blocking_record_stops_its_lane_until_a_decision(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1", "n2"])
    write_orders(engine, [1, 2, 3] * 4)
    service = few_attempts(attempts=2, policy="block", batch_size=1)
    with scripted_node(refusing_these(4)) as node, scripted_node() as other:
        assert counts(push(engine, service, node.node())) == Counts(pushed=5, refused=1, waiting=2)
        write_orders(engine, [2], first=13)
        stopped = push_stops(engine, service, node.node())
        assert not stopped.transient
        assert "lane order to n1: record 4 blocks it: no good. It was refused for the last time" in str(
            stopped
        )
        assert counts(stopped.report) == Counts(pushed=1, parked=1)
        assert refused_records(engine) == {"4": ("blocking", 2)}
        node.asked.clear()
        stopped = push_stops(engine, service, node.node())
        assert "record 4 blocks it: no good" in str(stopped)
        assert counts(stopped.report) == NOTHING
        assert node.asked == []
        assert lane_row(engine).holder is None
        assert push(engine, service, other.node(name="n2")).pushed == 4, "the lanes of other nodes go on"
        decide_refused(engine, service, "skip", records=["4"])
        assert counts(push(engine, service, node.node())) == Counts(pushed=2)
        assert sent(node.asked) == [[7], [10]]
        assert refused_records(engine) == {"4": ("skipped", 2)}


def test_a_blocking_record_is_sent_first_after_a_replay(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    service = few_attempts(attempts=1, policy="block")
    with scripted_node(refusing_these(1)) as node:
        push_stops(engine, service, node.node())
        node.script = lambda asked: success()
        node.asked.clear()
        decide_refused(engine, service, "replay")
        assert counts(push(engine, service, node.node())) == Counts(pushed=3)
    assert sent_ids(node.asked) == [1, 2, 3]


def test_a_record_that_the_policy_skips_holds_nothing_back_and_is_sent_by_a_replay(
    engine: Engine,
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 4)
    service = few_attempts(attempts=2, policy="skip_record")
    with scripted_node(refusing_these(2)) as node:
        assert counts(push(engine, service, node.node())) == Counts(pushed=1, refused=1, waiting=2)
        assert counts(push(engine, service, node.node())) == Counts(parked=1, waiting=2)
        assert refused_records(engine) == {"2": ("skipped", 2)}
        assert counts(push(engine, service, node.node())) == Counts(pushed=2)
        node.asked.clear()
        write_orders(engine, [1], first=5)
        assert counts(push(engine, service, node.node())) == Counts(pushed=1)
        assert sent_ids(node.asked) == [5]
        assert decide_refused(engine, service, "replay") == 0, "it was decided already, by the policy"
        assert decide_refused(engine, service, "replay", records=["2"]) == 1
        node.script = lambda asked: success()
        assert counts(push(engine, service, node.node())) == Counts(pushed=1)
    assert with_push_success(engine, True) == [1, 2, 3, 4, 5]


REFUSED_BY_ID = success({"refused": {"3": "why not"}})
KINDS = [
    pytest.param(failure("no"), 10, id="a batch refused as a whole"),
    pytest.param(REFUSED_BY_ID, 10, id="a record refused by its id"),
    pytest.param(failure("no"), None, id="a record a request"),
    pytest.param(Answer(code=500), 10, id="a crash of a healthy node"),
    pytest.param(Answer(code=500), None, id="a crash, a record a request"),
    pytest.param(Answer(code=413), 10, id="a record too large alone"),
    pytest.param(Answer(code=422), 10, id="422"),
]


@pytest.mark.parametrize(("answer", "batch_size"), KINDS)
def test_each_kind_of_refusal_counts_as_one_attempt_per_run(
    engine: Engine, answer: Answer, batch_size: int | None
) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 4)
    service = few_attempts(attempts=2, batch_size=batch_size)
    with scripted_node(refusing_these(3, answer=answer)) as node:
        push(engine, service, node.node())
        assert refused_records(engine) == {"3": ("trying", 1)}
        assert push(engine, service, node.node()).parked == 1
        assert refused_records(engine) == {"3": ("parked", 2)}
        assert with_push_success(engine, False) == [3]
        assert {1, 2, 4, 6, 8} <= set(with_push_success(engine, True))
        node.script = lambda asked: success()
        decide_refused(engine, service, "replay")
        push(engine, service, node.node())
    assert with_push_success(engine, True) == list(range(1, 9))


@pytest.mark.parametrize("policy", ["park_entity", "skip_record"])
def test_several_records_of_a_batch_are_parked_together(engine: Engine, policy: Policy) -> None:
    write_shops(engine, ["n1"] * 6)
    write_orders(engine, range(1, 7))

    def send(batch: list[Order], client: object) -> dict[str, str]:
        del client
        return {str(order.id): "odd" for order in batch if order.id % 2}

    how = Push(send, flags=PUSH_FLAGS, batch_size=4, max_attempts=1, policy=policy)
    with scripted_node() as node:
        assert counts(push(engine, shop_service(push=how), node.node())) == Counts(pushed=3, parked=3)
        assert counts(push(engine, shop_service(push=how), node.node())) == NOTHING
    state = "parked" if policy == "park_entity" else "skipped"
    assert refused_records(engine) == dict.fromkeys(("1", "3", "5"), (state, 1))


def test_a_function_that_raises_is_a_refusal_too(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])

    def send(order: Order, client: object) -> None:
        del client
        if order.id == 1:
            raise RecordRefused("it has no text")

    service = shop_service(push=Push(send, flags=PUSH_FLAGS, max_attempts=1))
    with scripted_node() as node:
        assert counts(push(engine, service, node.node())) == Counts(pushed=1, parked=1)
    assert refused_records(engine) == {"1": ("parked", 1)}


def test_an_unreachable_node_counts_against_no_record(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    unavailable: Script = lambda asked: Answer(code=503)  # noqa: E731
    with scripted_node(unavailable) as node:
        for _ in range(3):
            push_stops(engine, few_attempts(attempts=1), node.node())
    assert refused_records(engine) == {}
    assert with_push_success(engine, None) == [1, 2, 3]
