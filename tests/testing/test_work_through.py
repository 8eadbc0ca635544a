"""A mesh worked to its end in a test, without a Prefect server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, update

from tests.operations.delivery.micro_orders import orders
from tests.support.scripted_node import API_KEY, scripted_node, success
from tests.support.shop import Order, shop_mesh, with_push_success, write_orders, write_shops
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import ConfigurationError, LaneStopped
from workmesh_flows.testing import MeshRun, inventory_node, running_node, work_through

SERVICE = "shop.orders"


@pytest.fixture
def shops(tmp_path: Path) -> Engine:
    """Three shops without a node, with four orders each."""
    engine = create_engine(f"sqlite:///{tmp_path / 'shops.db'}")
    write_shops(engine, [None] * 3)
    write_orders(engine, [1, 2, 3] * 4)
    return engine


def change(engine: Engine, order: int, text: str) -> None:
    with engine.begin() as connection:
        connection.execute(update(Order).where(Order.id == order).values(text=text))


def test_all_is_assigned_pushed_and_pulled(shops: Engine) -> None:
    with running_node(orders, name="n1") as one, running_node(orders, name="n2") as two:
        nodes = [inventory_node(node, SERVICE) for node in (one, two)]
        assert work_through(shop_mesh(), nodes, database=lambda: shops) == MeshRun(3, 12, 12, 0, 0)
        assert {len(node.arrivals()) for node in (one, two)} == {4, 8}
        assert work_through(shop_mesh(), nodes, database=lambda: shops) == MeshRun(0, 0, 0, 0, 0)


def test_what_is_refused_or_cannot_be_processed_is_counted_and_does_not_go_on_for_ever(shops: Engine) -> None:
    change(shops, 4, "")  # the second of the first shop; two wait behind it
    change(shops, 12, "impossible")
    with running_node(orders) as node:
        done = work_through(shop_mesh(), [inventory_node(node, SERVICE)], database=lambda: shops)
    assert done == MeshRun(assigned=3, pushed=9, pulled=8, pending=3, failed=1)


def test_results_that_do_not_come_in_time_are_an_error_that_counts_them(shops: Engine) -> None:
    with scripted_node(lambda _: success(None)) as silent:
        node = Node("n1", "127.0.0.1", SecretStr(API_KEY), (SERVICE,), port=silent.port)
        missing = re.escape("results of 12 records are still missing; 12 were pushed, 0 pulled")
        with pytest.raises(TimeoutError, match=missing):
            work_through(shop_mesh(), [node], database=lambda: shops, seconds=0.2)


def test_a_lane_that_stops_says_why(shops: Engine) -> None:
    with running_node(orders) as node:
        known = inventory_node(node, SERVICE)
        node.kill()
        with pytest.raises(LaneStopped, match="no connection"):
            work_through(shop_mesh(), [known], database=lambda: shops)
    assert not with_push_success(shops, True)


def test_a_mesh_without_a_database_asks_for_one() -> None:
    with pytest.raises(ConfigurationError, match="database="):
        work_through(shop_mesh(), [])
