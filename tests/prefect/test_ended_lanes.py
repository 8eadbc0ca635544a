"""Lanes whose task ended in no way of its own: what worked them is no more."""

from __future__ import annotations

import pytest

from tests.prefect.conftest import Fleet
from tests.support.scripted_node import API_KEY, scripted_node
from tests.support.shop import PUSH_FLAGS, Order, shop_service, with_push_success, write_orders, write_shops
from workmesh_flows import Mesh, NodeClient, Push
from workmesh_flows.errors import RunFailed
from workmesh_flows.flows import service_flows


def test_a_lane_whose_worker_ends_in_the_middle_fails_the_run_by_name(fleet: Fleet) -> None:
    def ending(order: Order, node: NodeClient) -> None:
        raise SystemExit(f"the worker of order {order.id} at {node.name} is told to end")

    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1])
    fleet.mesh = Mesh([shop_service(push=Push(ending, flags=PUSH_FLAGS))], database=lambda: fleet.engine)
    with scripted_node() as one, scripted_node() as two:
        fleet.register("n1", one.port, API_KEY)
        fleet.register("n2", two.port, API_KEY)
        with pytest.raises(
            RunFailed, match="order, node n1: what worked it ended before the lane did"
        ) as failed:
            service_flows(fleet.mesh, "shop.orders", module=__name__).push()
    assert "1 lane stopped" in str(failed.value)
    assert with_push_success(fleet.engine, True) == []
