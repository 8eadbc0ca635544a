from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from prefect.flows import load_flow_from_entrypoint
from sqlalchemy import update
from sqlalchemy.orm import Session

from tests.support.fleet import Fleet
from tests.support.prefect_api import everything, latest_run, latest_table, task_runs
from tests.support.scripted_node import API_KEY, Answer, Asked, failure, scripted_node, success
from tests.support.shop import Shop, orders, with_push_success, write_orders, write_shops
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.lanes import lease_lane
from workmesh_flows.blocks import ServiceLimits
from workmesh_flows.domain.lane import Lane
from workmesh_flows.errors import RunFailed, UnknownName
from workmesh_flows.flows import ServiceFlows, service_flows
from workmesh_flows.microservice import NodeProcess


def flows_of(fleet: Fleet) -> ServiceFlows:
    return service_flows(fleet.mesh, "shop.orders", module=__name__)


def micro(name: str, folder: Path) -> NodeProcess:
    return NodeProcess("tests.support.shop_micro:orders", database=folder / f"{name}.db")


def test_flows_are_named_after_service_and_action(fleet: Fleet) -> None:
    flows = flows_of(fleet)
    assert [flow.name for flow in (flows.assign, flows.push, flows.pull, flows.sync, flows.status)] == [
        "shop.orders.assign",
        "shop.orders.push",
        "shop.orders.pull",
        "shop.orders.sync",
        "shop.orders.status",
    ]


def test_a_service_that_the_mesh_does_not_have_is_named_with_those_it_has(fleet: Fleet) -> None:
    with pytest.raises(UnknownName, match=r"no service 'shop.order'; known: shop\.orders"):
        service_flows(fleet.mesh, "shop.order", module=__name__)


def test_the_form_offers_the_protocols_and_describes_every_field() -> None:
    from workmesh_flows.demo import flows

    for flow in (flows.assign, flows.push, flows.pull, flows.sync):
        fields = flow.parameters.properties
        assert fields
        assert all(field["description"] for field in fields.values())
    choice = flows.push.parameters.properties["protocols"]["items"]["enum"]
    assert choice == ["delivery", "open", "click", "unsubscribe"]
    assert flows.push.parameters.required == []


def test_prefect_finds_a_flow_by_module_and_name() -> None:
    found: Any = load_flow_from_entrypoint("workmesh_flows.demo.flows:pull")
    assert found.name == "micro.emails.timeline.pull"


def test_sync_assigns_pushes_and_pulls_and_publishes_the_figures(fleet: Fleet, tmp_path: Path) -> None:
    write_shops(fleet.engine, [None] * 4)
    write_orders(fleet.engine, [1, 2, 3, 4, None] * 20)
    with micro("n1", tmp_path) as first, micro("n2", tmp_path) as second:
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
    run = latest_run(server := _api())
    assert run["state"]["type"] == "COMPLETED"
    assert run["state"]["message"].startswith("pulled ")
    assert latest_table(server, "workmesh-nodes") == [
        {"node": "n1", "state": "active", "reachable": True, "entities": 2, "weight": 2, "used": 0.5}
        | {"pending": 0, "failed": 0, "processed": 40},
        {"node": "n2", "state": "active", "reachable": True, "entities": 2, "weight": 2, "used": None}
        | {"pending": 0, "failed": 0, "processed": 40},
    ]
    assert latest_table(server, "workmesh-services") == [
        {"service": "shop.orders", "nodes": 2, "entities": 4, "unassigned": 0}
        | {"pending": 0, "failed": 0, "in flight": 0, "processed": 80}
    ]
    assert {order.score for order in orders(fleet.engine).values() if order.id == 7} == {70}
    text = everything(server)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file())
    for key in fleet.keys:
        assert key not in text
        assert key.strip("{}").lower() not in text.lower()
        assert key.encode() not in kept
    assert kept, "finished lanes are kept for a run that is tried again"


def test_a_dead_node_fails_the_run_by_name_while_the_other_lanes_finish(
    fleet: Fleet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2] * 30)
    with micro("n1", tmp_path) as first, micro("n2", tmp_path) as second:
        fleet.register("n1", first.port, first.api_key)
        fleet.register("n2", second.port, second.api_key)
        second.kill()
        flows = flows_of(fleet)
        with caplog.at_level(logging.INFO), pytest.raises(RunFailed) as failed:
            flows.push()
        assert str(failed.value).startswith("1 lane failed:\n")
        assert "Total: pushed 30 records on 2 lanes. " in str(failed.value)
        assert "order, node n2: " in str(failed.value)
        assert "no connection" in str(failed.value)
        assert latest_run(_api())["state"]["type"] == "FAILED"
        assert "node n2: no connection" in latest_run(_api())["state"]["message"]
        assert not any(record.exc_info for record in caplog.records), "our own errors need no trace"
        rows = {row["node"]: row for row in latest_table(_api(), "workmesh-nodes")}
        assert (rows["n2"]["pending"], rows["n2"]["failed"], rows["n2"]["reachable"]) == (30, 0, False)
        second.start()
        assert flows.push().message == "pushed 30 records on 2 lanes"
    assert with_push_success(fleet.engine, True) == list(range(1, 61))


def test_a_lane_that_waits_tells_why_and_with_now_it_waits_no_more(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_BREAKER_FAILURES", "1")
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 5)
    with micro("n1", tmp_path) as node:
        fleet.register("n1", node.port, node.api_key)
        node.kill()
        flows = flows_of(fleet)
        for told in ("no connection", "circuit breaker is open until .* the last one: no connection"):
            with pytest.raises(RunFailed, match=told) as failed:
                flows.push()
            assert str(failed.value).endswith("Fix the cause; rerun with --now to skip back-off.")
        node.start()
        assert flows.push(now=True).message == "pushed 5 records on 1 lane"
        assert flows.pull(now=True).lanes[0].state == "done"


def test_a_node_killed_in_the_middle_of_a_push_keeps_what_it_took_and_gets_the_rest_later(
    fleet: Fleet, tmp_path: Path
) -> None:
    write_shops(fleet.engine, ["n1", "n2", "n3"])
    write_orders(fleet.engine, [1, 2, 3] * 60)
    with ExitStack() as running:
        nodes = [
            running.enter_context(
                NodeProcess("tests.support.shop_micro:slow", database=tmp_path / f"n{n}.db")
            )
            for n in (1, 2, 3)
        ]
        for node in nodes:
            fleet.register(node.name, node.port, node.api_key)
        victim = nodes[1]
        killer = threading.Thread(target=kill_after, args=(victim, 20))
        killer.start()
        flows = flows_of(fleet)
        with pytest.raises(RunFailed, match="1 lane failed:\n  push of order, node n2: "):
            flows.push()
        killer.join()
        found = orders(fleet.engine)
        assert all(order.push_success for order in found.values() if order.shop_id != 2)
        flagged = [number for number, order in found.items() if order.shop_id == 2 and order.push_success]
        assert 10 <= len(flagged) < 60, "the first batch was answered, the last one was not"
        assert all(order.push_success is not False for order in found.values()), "nothing is flagged failed"
        victim.start()
        assert flows.push().message == f"pushed {60 - len(flagged)} records on 3 lanes"
        for number, node in enumerate(nodes, start=1):
            assert [arrival.id for arrival in node.arrivals()] == list(range(number, 181, 3))


def kill_after(node: NodeProcess, count: int) -> None:
    """SIGKILL a node once it has stored so many records."""
    while len(node.arrivals()) < count:
        sleep(0.01)
    node.kill()


def test_a_run_that_is_tried_again_redoes_only_the_lanes_that_failed(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2] * 5)
    down = threading.Event()
    down.set()

    def unwell(asked: Asked) -> Answer:
        if down.is_set() and asked.path.endswith("push.json"):
            if len([path for path in second.paths() if path.endswith("push.json")]) == 2:
                down.clear()  # both tries of the first run have failed
            return Answer(raw=b"")
        return success()

    with scripted_node() as first, scripted_node(unwell) as second:
        fleet.register("n1", first.port, API_KEY)
        fleet.register("n2", second.port, API_KEY)
        outcome = flows_of(fleet).push.with_options(retries=1)()
        assert {result.lane.node: result.state for result in outcome.lanes} == {"n1": "done", "n2": "done"}
        assert first.paths().count("/api/1.0/order/push.json") == 1
        assert second.paths().count("/api/1.0/order/push.json") >= 3  # smaller batches, after it went away


def test_a_lane_that_another_run_holds_is_left_to_it(fleet: Fleet) -> None:
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
    assert outcome.message == "pushed 1 record on 2 lanes, 1 lane busy"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        pytest.param(None, "it is not in the inventory", id="unknown"),
        pytest.param({"services": ["another"]}, "it does not run shop.orders", id="without the service"),
    ],
)
def test_entities_at_a_node_that_cannot_be_worked_are_reported(
    fleet: Fleet, more: dict[str, list[str]] | None, reason: str
) -> None:
    write_shops(fleet.engine, ["ghost", "n1"])
    write_orders(fleet.engine, [1, 2, 1, 2])
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY)
        if more is not None:
            fleet.register("ghost", node.port, API_KEY, **more)
        with pytest.raises(RunFailed, match=f"order, node ghost: {reason}"):
            flows_of(fleet).push()
    assert with_push_success(fleet.engine, True) == [2, 4]
    rows = {row["node"]: row for row in latest_table(_api(), "workmesh-nodes")}
    assert (rows["ghost"]["entities"], rows["ghost"]["pending"]) == (1, 2)
    assert rows["ghost"]["state"] == ("unknown" if more is None else "active")


def test_a_disabled_node_is_left_alone_and_fails_nothing(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", None])
    write_orders(fleet.engine, [1, 1])
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY, state="disabled")
        flows = flows_of(fleet)
        assert flows.push().message == "pushed 0 records on 1 lane, 1 lane disabled"
        assert "could not be assigned: no active node runs the service" in flows.assign().message
        assert node.asked == []


def test_only_the_nodes_asked_for_are_worked(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2])
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY)
        fleet.register("n2", node.port, API_KEY)
        flows = flows_of(fleet)
        flows.push(nodes=["n2"])
        assert with_push_success(fleet.engine, True) == [2]
        with pytest.raises(UnknownName, match="no node 'n3'; known: n1, n2"):
            flows.push(nodes=["n3"])


def test_a_limit_leaves_the_rest_for_later(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 30)
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY)
        flows_of(fleet).push(limit=12)
    assert with_push_success(fleet.engine, True) == list(range(1, 13))


def test_refused_records_show_in_the_lanes_table(fleet: Fleet) -> None:
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
    assert outcome.message == "pushed 1 record on 1 lane, 1 refused, 1 left"
    (row,) = latest_table(_api(), "workmesh-shop-orders-push")
    assert (row["state"], row["done"], row["refused"], row["left"]) == ("done", 1, 1, 1)
    assert row["reason"] == "2: bad ***"


def test_a_run_makes_one_task_a_lane_and_two_more(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2] * 100)
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY)
        fleet.register("n2", node.port, API_KEY)
        flows_of(fleet).push()
    run = latest_run(_api())["id"]
    for _ in range(100):  # task runs reach the server some time after the run has ended
        if len(found := task_runs(_api(), run)) >= 3:
            break
        sleep(0.2)
    assert sorted(task["name"].partition("-")[0] for task in found) == [
        "probe the nodes",
        "push order to n1",
        "push order to n2",
    ]


def test_an_entity_that_moved_to_another_name_is_pushed_there(fleet: Fleet) -> None:
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


def _api() -> str:
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    assert url is not None
    return url


def test_a_push_says_that_records_wait_for_their_entities_to_have_a_node(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    write_shops(fleet.engine, [None, None])
    write_orders(fleet.engine, [1, 2] * 4)
    with caplog.at_level(logging.WARNING):
        assert flows_of(fleet).push().message == "pushed 0 records on 0 lanes"
    assert "8 records of shop.orders cannot be sent, their entities have no node: run assign" in caplog.text
