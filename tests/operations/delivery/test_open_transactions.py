"""No transaction of the master's database is open while a request is on its way, whatever a user's function reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.orm import Session, object_session

from tests.operations.delivery.lane_runs import STATUS, pull, push
from tests.support.databases import PREPARED, empty_postgresql
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import (
    PULL_FLAGS,
    PUSH_FLAGS,
    Order,
    Shop,
    orders,
    shop_service,
    write_orders,
    write_shops,
)
from workmesh_flows import Pull, Push


@pytest.fixture
def database(postgresql_server: str) -> Iterator[Engine]:
    with empty_postgresql(postgresql_server, PREPARED) as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


class Watch:
    """A script that counts the transactions which are open while a request is answered."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.seen, self.asked = engine, list[str](), 0

    def __call__(self, asked: Asked) -> Answer:
        self.asked += 1
        with self._engine.connect() as connection:
            self.seen += connection.scalars(
                text(
                    "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
                )
            )
        return success(7 if asked.path == STATUS else "")


def send_with_shop(order: Any, node: Any) -> None:
    """Reads a relationship before the request, and another one after it."""
    node.post("/api/1.0/order/push.json", {"order": {"id": order.id, "shop": order.shop.size}})
    session = object_session(order)
    assert session is not None
    session.refresh(order.shop)


def test_a_push_function_that_reads_relationships(database: Engine) -> None:
    write_shops(database, ["n1"] * 3)
    write_orders(database, [1, 2, 3, 3, 3])
    watch = Watch(database)
    with scripted_node(watch) as node:
        report = push(database, shop_service(push=Push(send_with_shop, PUSH_FLAGS)), node.node())
    assert (report.pushed, watch.asked, watch.seen) == (5, 6, [])


def test_a_push_function_over_batches_of_a_busy_and_of_other_owners(database: Engine) -> None:
    write_shops(database, ["n1"] * 4)
    write_orders(database, [1] * 12 + [2, 3, 4] * 4)

    def send(records: list[Order], node: Any) -> None:
        node.post("/push.json", {"orders": [[order.id, order.shop.size] for order in records if order.shop]})

    watch = Watch(database)
    with scripted_node(watch) as node:
        report = push(database, shop_service(push=Push(send, PUSH_FLAGS, batch_size=3)), node.node())
    assert (report.pushed, watch.seen) == (24, [])
    assert watch.asked > 8


def test_a_pull_function_that_reads_a_relationship(database: Engine) -> None:
    write_shops(database, ["n1"] * 2)
    write_orders(database, [1, 2, 1, 2, 1, 2, 1])

    def fetch(order: Any, node: Any) -> dict[str, int]:
        node.post("/before.json", {"shop": order.shop.size})
        session = object_session(order)
        assert session is not None
        session.refresh(order.shop)
        node.post("/after.json", {"shop": order.shop.size})
        return {"score": order.id}

    watch = Watch(database)
    service = shop_service(pull=Pull(STATUS, fetch, PULL_FLAGS))
    with scripted_node(watch) as node:
        push(database, service, node.node())
        assert pull(database, service, node.node()).pulled == 7
    assert watch.seen == []


def test_what_a_function_changes_is_still_not_saved_and_its_objects_are_not_read_again(
    engine: Engine,
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1, 1])
    read: list[str] = []

    def send(order: Any, node: Any) -> None:
        order.shop.size, order.text = 99, "changed"
        session = object_session(order)
        assert session is not None
        session.flush()
        read.clear()
        node.post("/push.json", {"order": {"id": order.id}})
        assert (order.text, order.shop.size) == ("changed", 99)
        assert read == [], "no statement is sent for what is loaded already"

    event.listen(engine, "before_cursor_execute", lambda *given: read.append(given[2]))
    with scripted_node() as node:
        assert push(engine, shop_service(push=Push(send, PUSH_FLAGS)), node.node()).pushed == 2
    assert {order.text for order in orders(engine).values()} == {"order 1", "order 2"}
    with Session(engine) as session:
        assert session.scalars(select(Shop.size)).all() == [1]
