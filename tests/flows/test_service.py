"""Runs of a service's flows with reachable nodes: their messages, tables and tasks."""

from __future__ import annotations

import logging
from pathlib import Path
from time import sleep

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from tests.flows.shop_flows import flows_of, shop_node
from tests.support.fleet import Fleet
from tests.support.prefect_api import everything, latest_run, latest_table, task_runs
from tests.support.scripted_node import API_KEY, Answer, Asked, failure, scripted_node, success
from tests.support.shop import Shop, orders, with_push_success, write_orders, write_shops
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.lanes import lease_lane
from workmesh_flows.blocks import ServiceLimits
from workmesh_flows.domain.lane import Lane
from workmesh_flows.errors import UnknownName


def test_sync_assigns_pushes_and_pulls_and_publishes_the_tables(
    prefect: str, fleet: Fleet, tmp_path: Path
) -> None:
    write_shops(fleet.engine, [None] * 4)
    write_orders(fleet.engine, [1, 2, 3, 4, None] * 20)
    with shop_node("n1", tmp_path) as first, shop_node("n2", tmp_path) as second:
        fleet.register(
            "n1", first.port, first.api_key, limits=[ServiceLimits(service="shop.orders", max_entities=4)]
        )
        fleet.register("n2", second.port, second.api_key)
        flows = flows_of(fleet)
        outcome = flows.sync()
        assert outcome.message.startswith("assigned 4 entities (n1 2, n2 2); pushed 80 records on 2 lanes")
        for _ in range(50):
            flows.pull()
            if not [
                order
                for order in orders(fleet.engine).values()
                if order.push_success and not order.pull_success
            ]:
                break
            sleep(0.1)
    run = latest_run(prefect)
    assert run["state"]["type"] == "COMPLETED"
    assert run["state"]["message"].startswith("pulled ")
    assert latest_table(prefect, "workmesh-nodes") == [
        {"node": "n1", "state": "active", "reachable": True, "entities": 2, "weight": 2, "used": 0.5}
        | {"workload": 0, "pending": 0, "failed": 0, "processed": 40},
        {"node": "n2", "state": "active", "reachable": True, "entities": 2, "weight": 2, "used": None}
        | {"workload": 0, "pending": 0, "failed": 0, "processed": 40},
    ]
    assert latest_table(prefect, "workmesh-services") == [
        {"service": "shop.orders", "nodes": 2, "entities": 4, "unassigned": 0}
        | {"pending": 0, "failed": 0, "in flight": 0, "processed": 80}
    ]
    assert {order.score for order in orders(fleet.engine).values() if order.id == 7} == {70}
    text = everything(prefect)
    results = b"".join(path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file())
    for key in fleet.keys:
        assert key not in text
        assert key.strip("{}").lower() not in text.lower()
        assert key.encode() not in results
    assert results, "results of finished lanes are stored for a retry of the run"


def test_a_lane_that_another_run_has_leased_is_busy(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2])
    clock = database_clock(fleet.engine)
    lane = Lane("shop.orders", "order", "n1")
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY)
        fleet.register("n2", node.port, API_KEY)
        with lease_lane(fleet.engine, lane, holder="somebody", clock=clock, lease_seconds=30):
            outcome = flows_of(fleet).push()
    assert {result.lane.node: result.state for result in outcome.lanes} == {"n1": "busy", "n2": "done"}
    assert "held by somebody" in outcome.lanes[0].reason
    assert outcome.message.startswith(
        "pushed 1 record on 2 lanes, 1 lane busy (order to n1: held by somebody until "
    )
    assert outcome.message.endswith(" UTC or longer)")


def test_a_push_runs_only_the_lanes_of_the_given_nodes(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2])
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY)
        fleet.register("n2", node.port, API_KEY)
        flows = flows_of(fleet)
        flows.push(nodes=["n2"])
        assert with_push_success(fleet.engine, True) == [2]
        with pytest.raises(UnknownName, match="no node 'n3'; it has: n1, n2"):
            flows.push(nodes=["n3"])


def test_a_push_with_a_limit_leaves_the_other_records_pending(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 30)
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY)
        flows_of(fleet).push(limit=12)
    assert with_push_success(fleet.engine, True) == list(range(1, 13))


def test_the_lanes_table_shows_refused_records(prefect: str, fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1, 1, 1])

    def script(asked: Asked) -> Answer:
        return (
            failure(f"bad {API_KEY}")
            if any(o["id"] == 2 for o in asked.body.get("orders", []))
            else success()
        )

    with scripted_node(script) as node:
        fleet.register("n1", node.port, API_KEY)
        outcome = flows_of(fleet).push()
    assert outcome.message == "pushed 1 record on 1 lane, 1 refused, 1 waiting"
    (row,) = latest_table(prefect, "workmesh-shop-orders-push")
    assert (row["state"], row["pushed"], row["refused"], row["waiting"]) == ("done", 1, 1, 1)
    assert row["reason"] == "2: bad ***"


def test_a_run_has_a_task_run_per_lane_and_no_other(prefect: str, fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2] * 100)
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY)
        fleet.register("n2", node.port, API_KEY)
        flows_of(fleet).push()
    run = latest_run(prefect)["id"]
    for _ in range(100):  # task runs reach the server some time after the run has ended
        if len(found := task_runs(prefect, run)) >= 2:
            break
        sleep(0.2)
    assert sorted(task["name"].partition("-")[0] for task in found) == [
        "push order to n1",
        "push order to n2",
    ]


def test_pending_records_are_pushed_to_the_new_node_of_their_entity(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1, 1])
    with scripted_node() as first, scripted_node() as second:
        fleet.register("n1", first.port, API_KEY)
        fleet.register("n2", second.port, API_KEY)
        flows = flows_of(fleet)
        flows.push(limit=1)
        with Session(fleet.engine) as session:
            session.execute(update(Shop).values(node="n2"))
            session.commit()
        flows.push()
        assert [asked.body["orders"][0]["id"] for asked in second.asked if "orders" in asked.body] == [2]


def test_a_push_warns_of_records_whose_entities_have_no_node(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    write_shops(fleet.engine, [None, None])
    write_orders(fleet.engine, [1, 2] * 4)
    with caplog.at_level(logging.WARNING):
        assert flows_of(fleet).push().message == "pushed 0 records on 0 lanes"
    assert "8 records of shop.orders cannot be sent, their entities have no node: run assign" in caplog.text
