"""Transactions that commit out of order: pending is a state, not a cursor, so no record is skipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from random import Random

import pytest
from sqlalchemy import Connection, Engine, insert

from tests.operations.delivery.lane_runs import push, sent_ids
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import START, Order, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.adapters.node_http.client import PING
from workmesh_flows.domain.columns import table_of


@pytest.fixture
def two(engine: Engine) -> Iterator[tuple[Connection, Connection]]:
    """Two connections with a transaction each; SQLite lets one transaction write at a time."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: its transactions commit in the order in which they write")
    with ExitStack() as stack:
        yield stack.enter_context(engine.connect()), stack.enter_context(engine.connect())


def add(connection: Connection, numbers: Sequence[int], shop: int = 1) -> None:
    """Insert orders in a transaction that stays open; their sort values rise with their numbers."""
    rows = [{"id": number, "Group": shop, "where": START.replace(microsecond=number)} for number in numbers]
    connection.execute(insert(table_of(Order)), rows)


def test_records_of_a_transaction_that_starts_first_and_commits_last_are_pushed(
    engine: Engine, two: tuple[Connection, Connection]
) -> None:
    early, late = two
    write_shops(engine, ["n1"])
    add(early, [1, 2, 3])
    add(late, [4, 5, 6])
    late.commit()
    with scripted_node() as node:
        assert counts(push(engine, shop_service(), node.node())) == Counts(pushed=3)
        early.commit()
        assert counts(push(engine, shop_service(), node.node())) == Counts(pushed=3)
    assert sent_ids(node.asked) == [4, 5, 6, 1, 2, 3]


def test_records_that_commit_before_the_current_page_are_pushed_by_the_next_run(
    engine: Engine, two: tuple[Connection, Connection]
) -> None:
    early, late = two
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 30, first=101)
    add(early, [1, 2])
    add(late, [200_000])

    def script(asked: Asked) -> Answer:
        if asked.path != PING and early.in_transaction():
            late.commit()
            early.commit()
        return success()

    with scripted_node(script) as node:
        first = push(engine, shop_service(), node.node())
        second = push(engine, shop_service(), node.node())
    assert first.pushed + second.pushed == 33
    assert sorted(sent_ids(node.asked)) == [1, 2, *range(101, 131), 200_000]
    assert len(with_push_success(engine, True)) == 33


@pytest.mark.parametrize("seed", range(5))
def test_all_records_are_pushed_with_commits_in_any_order(
    engine: Engine, two: tuple[Connection, Connection], seed: int
) -> None:
    chance, numbers = Random(seed), iter(range(1, 1_000))  # noqa: S311 - reproducible, not secret
    write_shops(engine, ["n1", "n1", "n1"])
    with scripted_node() as node:
        for _ in range(20):
            connection = chance.choice(two)
            if chance.random() < 0.6:
                add(connection, [next(numbers) for _ in range(chance.randint(1, 15))], chance.randint(1, 3))
            else:
                connection.commit()
            if chance.random() < 0.4:
                push(engine, shop_service(batch_size=chance.randint(1, 8)), node.node())
        for connection in two:
            connection.commit()
        push(engine, shop_service(), node.node())
    written = next(numbers) - 1
    assert sorted(sent_ids(node.asked)) == list(range(1, written + 1))
    assert with_push_success(engine, True) == list(range(1, written + 1))
