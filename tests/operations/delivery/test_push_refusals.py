from __future__ import annotations

from math import ceil, log2

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import (
    PING,
    PUSH,
    push,
    push_stops,
    refusing,
    sent,
    sent_ids,
)
from tests.support.counts import Counts, counts
from tests.support.scripted_node import API_KEY, Answer, Asked, failure, scripted_node, success
from tests.support.shop import orders, shop_service, with_push_success, write_orders, write_shops

REDIRECT_TO_500 = Answer(code=303, headers={"Location": f"/500?message={API_KEY}"})


def test_a_refused_record_holds_back_only_its_owner(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 10)
    with scripted_node(refusing(lambda number: number == 5, failure("no good"))) as node:
        report = push(engine, shop_service(), node.node())
    assert counts(report) == Counts(pushed=12, refused=1, waiting=7)
    assert with_push_success(engine, False) == [5]
    assert with_push_success(engine, None) == [7, 9, 11, 13, 15, 17, 19]
    assert orders(engine)[5].push_error == "no good"


def test_records_wait_behind_a_refused_one_across_batches_and_pages(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 1_500)
    service = shop_service(batch_size=100)
    with scripted_node(refusing(lambda number: number == 1, failure("no"))) as node:
        report = push(engine, service, node.node())
    assert counts(report) == Counts(pushed=1_500, refused=1, waiting=1_499)
    assert with_push_success(engine, True) == list(range(2, 3_001, 2))


def test_a_refused_record_is_retried_and_then_the_rest_follows_in_order(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 6)
    with scripted_node(refusing(lambda number: number == 3, failure("no"))) as node:
        assert counts(push(engine, shop_service(), node.node())) == Counts(pushed=7, refused=1, waiting=4)
        node.asked.clear()
        assert counts(push(engine, shop_service(), node.node())) == Counts(refused=1, waiting=4)
        assert sent(node.asked) == [[3]], "a record that was refused before is sent alone"
        node.asked.clear()
        node.script = lambda asked: success()
        assert counts(push(engine, shop_service(), node.node())) == Counts(pushed=5)
    assert sent_ids(node.asked) == [3, 5, 7, 9, 11]
    order = orders(engine)[3]
    assert (order.push_success, order.push_error) == (True, None)


@pytest.mark.parametrize("bad", [1, 250, 500])
def test_one_bad_record_in_500_costs_at_most_ten_refused_requests(engine: Engine, bad: int) -> None:
    write_shops(engine, ["n1"] * 500)
    write_orders(engine, range(1, 501))
    refused = 0
    judge = refusing(lambda number: number == bad, failure("no"))

    def script(asked: Asked) -> Answer:
        nonlocal refused
        answer = judge(asked)
        refused += b"success" not in answer.body
        return answer

    with scripted_node(script) as node:
        report = push(engine, shop_service(batch_size=500), node.node())
    assert counts(report) == Counts(pushed=499, refused=1)
    assert refused <= ceil(log2(500)) + 1 == 10
    assert node.paths().count(PING) <= 3


@pytest.mark.parametrize(
    "crash", [Answer(b"<h1>oops</h1>", code=500), REDIRECT_TO_500], ids=["500", "to /500"]
)
def test_a_record_that_crashes_a_healthy_node_is_found_and_refused(engine: Engine, crash: Answer) -> None:
    write_shops(engine, ["n1"] * 30)
    write_orders(engine, range(1, 31))
    with scripted_node(refusing(lambda number: number == 17, crash)) as node:
        report = push(engine, shop_service(), node.node())
    assert counts(report) == Counts(pushed=29, refused=1)
    assert with_push_success(engine, False) == [17]
    assert (orders(engine)[17].push_error or "").startswith(f"the node crashes on it: {PUSH}")


def test_a_crash_that_takes_the_node_with_it_flags_nothing(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 5)
    answers = {PUSH: Answer(code=500), PING: success()}

    def script(asked: Asked) -> Answer:
        answer = answers[asked.path]
        answers[PING] = Answer(code=500) if asked.path == PUSH else answers[PING]
        return answer

    with scripted_node(script) as node:
        stopped = push_stops(engine, shop_service(), node.node())
    assert stopped.transient
    assert counts(stopped.report) == Counts(waiting=5)
    assert with_push_success(engine, None) == [1, 2, 3, 4, 5]


def test_a_record_refused_by_4xx_carries_the_nodes_reason_without_the_key(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])
    reply = Answer(f"no such text\n in {API_KEY}".encode(), code=422)
    with scripted_node(refusing(lambda number: number == 1, reply)) as node:
        report = push(engine, shop_service(), node.node())
    assert counts(report) == Counts(pushed=1, refused=1)
    assert orders(engine)[1].push_error == f"{PUSH} answers 422: no such text in ***"


def test_a_reason_is_cut_to_its_column_and_loses_a_nul(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2])
    with scripted_node(refusing(lambda number: number == 1, failure("bad\0" + "x" * 5_000))) as node:
        report = push(engine, shop_service(), node.node())
    assert counts(report) == Counts(pushed=1, refused=1)
    error = orders(engine)[1].push_error or ""
    assert (error[:5], len(error)) == ("bad x", 300)


def test_refusals_one_record_a_request(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1, 2] * 3)
    with scripted_node(refusing(lambda number: number == 2, failure("no"))) as node:
        report = push(engine, shop_service(batch_size=None), node.node())
    assert sent(node.asked) == [[1], [2], [3], [5]]
    assert counts(report) == Counts(pushed=3, refused=1, waiting=2)
