"""The lanes table: counts and circuit breaker of each lane that ran."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import push
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import shop_service, write_orders, write_shops
from workmesh_flows.adapters.node_http.client import PING
from workmesh_flows.errors import LaneStopped
from workmesh_flows.reporting.lane_table import LANE_COLUMNS, lanes_table


def test_the_table_is_empty_before_any_lane_ran(engine: Engine) -> None:
    assert lanes_table(engine).empty


def test_a_lane_has_its_record_counts_and_the_failures_of_its_node(engine: Engine) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 12)

    def unavailable_after_the_first_batch(asked: Asked) -> Answer:
        return Answer(code=429) if asked.path != PING and len(node.asked) > 2 else success()

    with scripted_node(unavailable_after_the_first_batch) as node, pytest.raises(LaneStopped):
        push(engine, shop_service(), node.node())
    table = lanes_table(engine)
    (row,) = table[list(LANE_COLUMNS)].to_dict("records")
    assert (row["service"], row["protocol"], row["node"], row["direction"]) == (
        "shop.orders",
        "order",
        "n1",
        "push",
    )
    assert (
        row["processed"],
        row["failed answers"],
        row["failures in a row"],
        row["breaker"],
        row["holder"],
    ) == (
        10,
        0,
        1,
        "closed",
        None,
    )
    assert table["epoch"].tolist() == [1]
