"""Runs of a whole mesh, or of one lane, in a test, without a Prefect server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, update

from tests.operations.delivery.micro_orders import orders
from tests.support.counts import NOTHING, Counts, counts
from tests.support.scripted_node import API_KEY, scripted_node, success
from tests.support.shop import (
    Order,
    Shop,
    shop_mesh,
    shop_service,
    with_push_success,
    write_orders,
    write_shops,
)
from workmesh_flows import Mesh
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import ConfigurationError, LaneStopped, UnknownName
from workmesh_flows.testing import MeshRun, inventory_node, pull_once, push_once, run_mesh, running_node

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


def test_a_run_assigns_pushes_and_pulls_everything(shops: Engine) -> None:
    with running_node(orders, name="n1") as one, running_node(orders, name="n2") as two:
        nodes = [inventory_node(node, SERVICE) for node in (one, two)]
        assert run_mesh(shop_mesh(), nodes, database=lambda: shops) == MeshRun(3, 12, 12, 0, 0)
        assert {len(node.arrivals()) for node in (one, two)} == {4, 8}
        assert run_mesh(shop_mesh(), nodes, database=lambda: shops) == MeshRun(0, 0, 0, 0, 0)


def test_a_run_ends_and_counts_refused_and_unprocessed_records(shops: Engine) -> None:
    change(shops, 4, "")  # the second of the first shop; two wait behind it
    change(shops, 12, "impossible")
    with running_node(orders) as node:
        done = run_mesh(shop_mesh(), [inventory_node(node, SERVICE)], database=lambda: shops)
    assert done == MeshRun(assigned=3, pushed=9, pulled=8, pending=3, failed=1)


def test_one_lane_is_pushed_and_pulled_once(shops: Engine) -> None:
    with running_node(orders) as process:
        node = inventory_node(process, SERVICE)
        with shops.begin() as connection:
            connection.execute(update(Shop).values(node="n1"))
        pushed = push_once(shop_mesh(), SERVICE, "order", node, database=lambda: shops)
        assert counts(pushed) == Counts(pushed=12)
        pulled = pull_once(shop_mesh(), SERVICE, "order", node, database=lambda: shops)
        assert pulled.selected == 12
        assert counts(pulled).failed == 0


def test_the_mesh_database_is_used_unless_another_is_given(shops: Engine) -> None:
    with running_node(orders) as process:
        node = inventory_node(process, SERVICE)
        mesh = Mesh([shop_service()], database=lambda: shops)
        assert counts(push_once(mesh, SERVICE, "order", node)) == NOTHING, "no shop is assigned"


def test_an_unknown_protocol_is_an_error(shops: Engine) -> None:
    node = Node("n1", "127.0.0.1", SecretStr(API_KEY), (SERVICE,))
    with pytest.raises(UnknownName, match="comment"):
        push_once(shop_mesh(), SERVICE, "comment", node, database=lambda: shops)


def test_results_that_do_not_arrive_in_time_are_counted_in_an_error(shops: Engine) -> None:
    with scripted_node(lambda _: success(None)) as silent:
        node = Node("n1", "127.0.0.1", SecretStr(API_KEY), (SERVICE,), port=silent.port)
        missing = re.escape("results of 12 records are still missing; 12 were pushed, 0 pulled")
        with pytest.raises(TimeoutError, match=missing):
            run_mesh(shop_mesh(), [node], database=lambda: shops, seconds=0.2)


def test_a_lane_that_stops_raises_its_reason(shops: Engine) -> None:
    with running_node(orders) as node:
        known = inventory_node(node, SERVICE)
        node.kill()
        with pytest.raises(LaneStopped, match="no connection"):
            run_mesh(shop_mesh(), [known], database=lambda: shops)
    assert not with_push_success(shops, True)


def test_a_mesh_without_a_database_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="database="):
        run_mesh(shop_mesh(), [])
