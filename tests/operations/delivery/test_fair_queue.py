"""One owner's backlog delays another owner's record by one batch per cycle at most; each record is sent once, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, QueuePool, create_engine, delete, update
from sqlalchemy.orm import Session

from tests.operations.delivery.lane_runs import PUSH, push, sent, sent_ids
from tests.operations.delivery.refusals import few_attempts, refused_records, refusing_these
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import (
    PUSH_FLAGS,
    START,
    Order,
    Shop,
    shop_service,
    with_push_success,
    write_orders,
    write_shops,
)
from workmesh_flows import NodeClient, Push
from workmesh_flows.adapters.store.own_tables import create_own_tables


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workmesh_flows.operations.delivery.lane_context.PAGE", 20)
    monkeypatch.setattr("workmesh_flows.operations.delivery.fair_queue.SINGLES", 5)
    monkeypatch.setattr("workmesh_flows.operations.delivery.push.SINGLES", 5)


def requests_before(batches: list[list[int]], number: int) -> int:
    return next(at for at, batch in enumerate(batches) if number in batch)


def test_a_new_record_is_not_delayed_by_an_older_backlog_of_another_owner(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1] * 3_000 + [2])
    with scripted_node() as node:
        assert counts(push(engine, shop_service(batch_size=100), node.node())) == Counts(pushed=3_001)
    assert requests_before(sent(node.asked), 3_001) <= 1


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("batch_size", [5, None], ids=["batches", "a record a request"])
def test_each_busy_owner_gets_one_slice_per_cycle(engine: Engine, batch_size: int | None) -> None:
    write_shops(engine, ["n1"] * 5)
    write_orders(engine, [1] * 40 + [2] * 40 + [3] * 40 + [4, 5] * 2)
    with scripted_node() as node:
        push(engine, shop_service(batch_size=batch_size), node.node())
    arrived = sent_ids(node.asked)
    assert sorted(arrived) == list(range(1, 125))
    for small in range(121, 125):
        assert arrived.index(small) < 4 * 5, "a turn of each of three busy owners, and one of the others"
    owners = [1 + (number - 1) // 40 for number in arrived if number <= 120]
    for start in range(0, 105, 15):
        assert len(set(owners[start : start + 15])) == 3
    for owner in range(3):
        own = [number for number in arrived if owner * 40 < number <= owner * 40 + 40]
        assert own == sorted(own)


@pytest.mark.usefixtures("small_pages")
def test_a_lane_of_one_owner_goes_in_full_batches(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 43)
    with scripted_node() as node:
        assert counts(push(engine, shop_service(batch_size=5), node.node())) == Counts(pushed=43)
    assert sent_ids(node.asked) == list(range(1, 44))
    assert [len(batch) for batch in sent(node.asked)] == [5] * 8 + [3]


@pytest.mark.usefixtures("small_pages")
def test_a_busy_owner_that_is_held_or_parked_does_not_delay_the_others(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1] * 60 + [2] * 30)
    service = few_attempts(attempts=2, batch_size=5)
    with scripted_node(refusing_these(3)) as node:
        assert counts(push(engine, service, node.node())) == Counts(pushed=32, refused=1, waiting=57)
        node.asked.clear()
        report = push(engine, service, node.node())
        assert (report.pushed, report.parked) == (0, 1)
        assert refused_records(engine) == {"3": ("parked", 2)}
    assert with_push_success(engine, True) == [1, 2, *range(61, 91)]


@pytest.mark.usefixtures("small_pages")
def test_records_left_by_a_limit_are_sent_fairly_by_the_next_run(engine: Engine) -> None:
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1] * 60 + [2] * 8)
    with scripted_node() as node:
        reports = [push(engine, shop_service(batch_size=5), node.node(), limit=20) for _ in range(4)]
    assert [counts(report) for report in reports] == [Counts(pushed=pushed) for pushed in (20, 20, 20, 8)]
    assert [report.not_reached for report in reports] == [48, 28, 8, 0]
    arrived = sent_ids(node.asked)
    assert sorted(arrived) == list(range(1, 69))
    assert max(arrived.index(number) for number in range(61, 69)) < 20


def test_many_busy_owners_with_a_function_that_reads_more_need_few_connections(tmp_path: object) -> None:
    """A mapped object that loads a relationship keeps its page's connection; a pool has fifteen by default."""
    pooled = create_engine(f"sqlite:///{tmp_path}/pooled.db", poolclass=QueuePool, pool_timeout=1)
    create_own_tables(pooled)
    owners = 20
    write_shops(pooled, ["n1"] * owners)
    write_orders(pooled, [owner for owner in range(1, owners + 1) for _ in range(25)])

    def send(batch: list[Order], node: NodeClient) -> None:
        shops = [order.shop.size for order in batch if order.shop is not None]  # a query each
        node.post(PUSH, {"orders": [{"id": order.id} for order in batch], "shops": shops})

    service = shop_service(push=Push(send, flags=PUSH_FLAGS, batch_size=10))
    try:
        with scripted_node() as node:
            assert counts(push(pooled, service, node.node())) == Counts(pushed=500)
    finally:
        pooled.dispose()


@pytest.mark.usefixtures("small_pages")
def test_busy_owners_beyond_the_limit_are_sent_with_the_others(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workmesh_flows.operations.delivery.fair_queue.MOST_BUSY", 2)
    write_shops(engine, ["n1"] * 5)
    write_orders(engine, [owner for owner in range(1, 6) for _ in range(15)])
    with scripted_node() as node:
        assert counts(push(engine, shop_service(batch_size=5), node.node())) == Counts(pushed=75)
    arrived = sent_ids(node.asked)
    assert sorted(arrived) == list(range(1, 76))
    for owner in range(5):
        own = [number for number in arrived if owner * 15 < number <= owner * 15 + 15]
        assert own == sorted(own)


@pytest.mark.usefixtures("small_pages")
def test_records_of_an_entity_that_moves_to_the_node_during_a_push_are_sent_in_order(engine: Engine) -> None:
    from workmesh_flows.adapters.store.schema import ensure_row, services

    write_shops(engine, ["n1", "n2"])
    write_orders(engine, [2] * 30 + [1] * 30)
    ensure_row(engine, services, service="shop.orders")
    moved: Iterator[bool] = iter([True])

    def script(asked: Asked) -> Answer:
        if asked.path == PUSH and next(moved, False):
            with Session(engine) as session, session.begin():
                session.execute(update(Shop).values({Shop.node: "n1"}))
                session.execute(update(services).values(revision=services.c.revision + 1))
        return success()

    with scripted_node(script) as node:
        report = push(engine, shop_service(batch_size=5), node.node())
    assert counts(report) == Counts(pushed=60)
    arrived = sent_ids(node.asked)
    assert [number for number in arrived if number <= 30] == list(range(1, 31))
    assert [number for number in arrived if number > 30] == list(range(31, 61))


@pytest.fixture
def shops(engine: Engine) -> Engine:
    write_shops(engine, ["n1"] * 4)
    return engine


@pytest.mark.usefixtures("small_pages")
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(
    layout=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9)), min_size=1, max_size=90),
    size=st.sampled_from([1, 3, 7, 25, None]),
)
def test_each_record_is_sent_once_and_each_owner_in_order(
    shops: Engine, layout: list[tuple[int, int]], size: int | None
) -> None:
    from datetime import timedelta

    from sqlalchemy import insert

    rows = [
        {"id": number, "shop_id": owner, "at": START + timedelta(seconds=second), "text": "t"}
        for number, (owner, second) in enumerate(layout, start=1)
    ]
    with Session(shops) as session, session.begin():
        session.execute(delete(Order))
        session.execute(insert(Order), rows)
    with scripted_node() as node:
        report = push(shops, shop_service(batch_size=size), node.node())
    assert counts(report) == Counts(pushed=len(rows))
    arrived = sent_ids(node.asked)
    assert sorted(arrived) == list(range(1, len(rows) + 1))
    own: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number in arrived:
        owner, second = layout[number - 1]
        own[owner].append((second, number))
    assert all(keys == sorted(keys) for keys in own.values())
