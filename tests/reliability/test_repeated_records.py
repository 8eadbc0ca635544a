"""Records that arrived before others but were flagged after them: their results are pulled too."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import PULL, STATUS, order_node, pull, push, push_stops
from tests.support.counts import Counts, counts
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import orders, shop_service, write_orders, write_shops
from workmesh_flows.testing import DropAnswer, FaultyProxy, Request, inventory_node


def dropping_the_first_push(request: Request) -> DropAnswer | None:
    """The first request is a ping; then the push, its repetition and another ping stay without an answer."""
    return DropAnswer() if request.number in {2, 3, 4} else None


def test_a_record_is_pulled_whose_answer_was_lost_and_that_others_overtook(
    engine: Engine, tmp_path: Path
) -> None:
    service = shop_service()
    write_shops(engine, ["n1", "n1"])
    write_orders(engine, [1], first=2)
    with order_node(tmp_path) as process, FaultyProxy(process.url, dropping_the_first_push) as proxy:
        node = inventory_node(process, "shop.orders", port=proxy.port)
        push_stops(engine, service, node)
        write_orders(engine, [2])  # it sorts first, but arrives last
        assert push(engine, service, node).pushed == 2
        assert [arrival.id for arrival in process.arrivals()] == [2, 1]
        while not all(arrival.processed_at for arrival in process.arrivals()):
            pass
        pull(engine, service, node)
        pull(engine, service, node)
    assert [(order.id, order.score) for order in orders(engine).values()] == [(1, 10), (2, 20)]


@pytest.mark.parametrize(
    ("ready", "asked"), [(30, [[11, 12, *range(13, 21)], [*range(21, 31)]]), (0, [[*range(11, 21)]])]
)
def test_records_after_the_latest_one_named_are_pulled_as_long_as_the_node_has_results(
    engine: Engine, ready: int, asked: list[list[int]]
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * 30)

    def script(request: Asked) -> Answer:
        if request.path == STATUS:
            return success(10)
        ids = request.body.get("ids", [])
        return success({str(number): {"score": 1} for number in ids if number <= max(10, ready)})

    with scripted_node(script) as node:
        push(engine, shop_service(), node.node())
        assert counts(pull(engine, shop_service(), node.node())) == Counts(pulled=10)
        node.asked.clear()
        again = pull(engine, shop_service(), node.node())
    assert [request.body["ids"] for request in node.asked if request.path == PULL] == asked
    assert counts(again) == Counts(pulled=len(range(10, ready))), "records without a result are not selected"
