from __future__ import annotations

import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import PING, context_at, lane_row, push, sent, sent_ids
from tests.support.counts import NOTHING, Counts, counts
from tests.support.scripted_node import Answer, Asked, failure, scripted_node, success
from tests.support.shop import (
    START,
    Order,
    Shop,
    orders,
    shop_service,
    with_push_success,
    write_orders,
    write_shops,
)
from workmesh_flows.domain.reports import Tally
from workmesh_flows.errors import ConservationError
from workmesh_flows.operations.delivery.push import push_lane


def test_records_arrive_in_order_of_sort_and_id_whatever_order_they_were_written_in(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [2, 1] * 15)
    with Session(engine) as session, session.begin():
        session.execute(update(Order).where(Order.id == 30).values(at=START))
        session.execute(update(Order).where(Order.id.in_([7, 8])).values(at=START + timedelta(seconds=5)))
    with scripted_node() as node:
        report = push(engine, shop_service(), node.node())
    assert counts(report) == Counts(pushed=30)
    ordered = [30, 1, 2, 3, 4, 5, 7, 8, 6, *range(9, 30)]
    for shop in (0, 1):
        assert [order for order in sent_ids(node.asked) if order % 2 == shop] == [
            order for order in ordered if order % 2 == shop
        ]


def test_batches_are_as_large_as_declared_and_the_last_one_holds_the_rest(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 25)
    with scripted_node() as node:
        push(engine, shop_service(batch_size=10), node.node())
    assert [len(batch) for batch in sent(node.asked)] == [10, 10, 5]


def test_one_batch_is_in_flight_at_a_time(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 40)
    inside, most, lock = 0, 0, threading.Lock()

    def script(asked: Asked) -> Answer:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.02)
        with lock:
            inside -= 1
        return success()

    with scripted_node(script) as node:
        push(engine, shop_service(), node.node())
    assert len(sent(node.asked)) == 4
    assert most == 1


def test_more_records_than_fit_on_a_page_are_sent_once_each_and_in_order(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1", "n1"])
    write_orders(engine, [1 + number % 3 for number in range(4_500)])
    with scripted_node() as node:
        report = push(engine, shop_service(batch_size=500), node.node())
    assert counts(report) == Counts(pushed=4_500)
    sent = sent_ids(node.asked)
    for shop in range(3):
        assert [record for record in sent if record % 3 == (1 + shop) % 3] == list(range(1 + shop, 4_501, 3))


def test_nothing_pending_sends_no_request_at_all(engine: Engine) -> None:
    write_shops(engine, ["n1", "n2"])
    write_orders(engine, [2])
    with scripted_node() as node:
        report = push(engine, shop_service(), node.node())
    assert counts(report) == NOTHING
    assert node.asked == []


def test_only_records_of_the_nodes_own_entities_are_sent(engine: Engine) -> None:
    write_shops(engine, ["n1", "n2", None, "N1"])
    write_orders(engine, [1, 2, 3, 4, None] * 3)
    with scripted_node() as node:
        report = push(engine, shop_service(), node.node())
    assert sent_ids(node.asked) == [1, 6, 11]
    assert counts(report) == Counts(pushed=3)
    assert with_push_success(engine, True) == [1, 6, 11]


def test_a_record_is_sent_once_its_entity_has_a_node(engine: Engine) -> None:
    write_shops(engine, [None])
    write_orders(engine, [1, 1])
    with scripted_node() as node:
        assert push(engine, shop_service(), node.node()).selected == 0
        with Session(engine) as session, session.begin():
            session.execute(update(Shop).values({Shop.node: "n1"}))
        assert push(engine, shop_service(), node.node()).pushed == 2


def test_a_limit_ends_a_run_and_the_next_run_continues_from_there(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 30)
    with scripted_node() as node:
        assert counts(push(engine, shop_service(), node.node(), limit=13)) == Counts(pushed=13)
        assert sent_ids(node.asked) == list(range(1, 14))
        assert counts(push(engine, shop_service(), node.node(), limit=1_000)) == Counts(pushed=17)
    assert sent_ids(node.asked) == list(range(1, 31))


def test_records_that_wait_behind_a_refused_one_do_not_use_up_the_limit(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1] * 25 + [2] * 5)

    def script(asked: Asked) -> Answer:
        return failure("no") if any(order["id"] == 1 for order in asked.body.get("orders", [])) else success()

    with scripted_node(script) as node:
        assert counts(push(engine, shop_service(), node.node(), limit=7)) == Counts(
            pushed=5, refused=1, waiting=24
        )
    assert with_push_success(engine, True) == list(range(26, 31))


def test_push_times_increase_in_the_order_of_sending_over_batches_and_runs(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 25)
    with scripted_node() as node:
        push(engine, shop_service(), node.node())
        write_orders(engine, [1] * 25, first=26)
        push(engine, shop_service(), node.node())
        order_sent = sent_ids(node.asked)
    times = [orders(engine)[number].push_time for number in order_sent]
    assert all(before < after for before, after in pairwise(times) if before and after)
    assert None not in times


def test_push_times_increase_even_when_the_clock_goes_back(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 15)
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    with scripted_node() as node:
        push_lane(context_at(lambda: noon, engine, shop_service(), node.node()))
        write_orders(engine, [1] * 15, first=16)
        push_lane(context_at(lambda: noon - timedelta(hours=1), engine, shop_service(), node.node()))
    times = [order.push_time for order in orders(engine).values()]
    assert len(set(times)) == 30
    assert sorted(times, key=str) == times
    last = lane_row(engine).last_push_time
    assert last == noon + timedelta(microseconds=29)


def test_a_row_that_commits_late_with_an_earlier_sort_is_found_by_the_next_run(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 10, first=11)

    def script(asked: Asked) -> Answer:
        if asked.path != PING:
            write_orders(engine, [1], first=5)  # commits while the lane is worked, behind what was read
        return success()

    with scripted_node(script) as node:
        assert push(engine, shop_service(), node.node()).pushed == 10
        node.script = lambda asked: success()
        assert push(engine, shop_service(), node.node()).pushed == 1
    assert sent_ids(node.asked) == [*range(11, 21), 5]


def test_rows_inserted_while_a_lane_runs_are_left_to_the_next_run(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 20)
    more = iter(range(100, 200))

    def script(asked: Asked) -> Answer:
        if asked.path != PING:
            write_orders(engine, [1], first=next(more))
        return success()

    with scripted_node(script) as node:
        report = push(engine, shop_service(), node.node())
    assert counts(report) == Counts(pushed=20)
    assert with_push_success(engine, None) == [100, 101]


def test_order_holds_for_each_owner_over_runs_with_refusals(engine: Engine) -> None:
    write_shops(engine, ["n1"] * 4)
    write_orders(engine, [1 + number % 4 for number in range(80)])
    refused = {17, 40, 41}

    def script(asked: Asked) -> Answer:
        bad = any(order["id"] in refused for order in asked.body.get("orders", []))
        return failure("not yet") if bad else success()

    with scripted_node(script) as node:
        push(engine, shop_service(), node.node())
        first = {order["id"] for asked in node.asked for order in asked.body.get("orders", [])}
        node.asked.clear()
        refused.clear()
        assert push(engine, shop_service(), node.node()).waiting == 0
    pushed = sorted(orders(engine).values(), key=lambda order: str(order.push_time))
    per_shop = defaultdict(list)
    for order in pushed:
        per_shop[order.shop_id].append(order.id)
    assert all(numbers == sorted(numbers) for numbers in per_shop.values())
    assert len(first | set(sent_ids(node.asked))) == 80


def test_a_report_that_does_not_add_up_fails_the_run(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure cannot be caused, so the test falsifies the counts."""
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 3)
    monkeypatch.setattr(Tally, "decided", property(lambda tally: tally.succeeded - 1))
    with (
        scripted_node() as node,
        pytest.raises(ConservationError, match=r"3 records were selected, but .* make 2"),
    ):
        push(engine, shop_service(), node.node())
