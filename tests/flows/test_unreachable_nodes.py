"""Runs in which a node is unreachable, unknown or disabled: what fails, what goes on, and what the next run does."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from pathlib import Path
from time import sleep

import pytest

from tests.flows.shop_flows import flows_of, shop_node
from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run, latest_table
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.shop import orders, with_push_success, write_orders, write_shops
from workmesh_flows.errors import RunFailed
from workmesh_flows.microservice import NodeProcess


def test_an_unreachable_node_fails_the_run_by_name_while_other_lanes_finish(
    prefect: str, fleet: Fleet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2] * 30)
    with shop_node("n1", tmp_path) as first, shop_node("n2", tmp_path) as second:
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
        assert latest_run(prefect)["state"]["type"] == "FAILED"
        assert "node n2: no connection" in latest_run(prefect)["state"]["message"]
        assert not any(record.exc_info for record in caplog.records), (
            "a WorkmeshError is logged without a traceback"
        )
        rows = {row["node"]: row for row in latest_table(prefect, "workmesh-nodes")}
        assert (rows["n2"]["pending"], rows["n2"]["failed"], rows["n2"]["reachable"]) == (30, 0, False)
        second.start()
        assert flows.push().message == "pushed 30 records on 1 lane, 1 lane has nothing pending"
    assert with_push_success(fleet.engine, True) == list(range(1, 61))


def test_a_paused_lane_reports_the_reason_and_runs_with_now(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_BREAKER_FAILURES", "1")
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 5)
    with shop_node("n1", tmp_path) as node:
        fleet.register("n1", node.port, node.api_key)
        node.kill()
        flows = flows_of(fleet)
        for reason in ("no connection", "circuit breaker is open until .* the last one: no connection"):
            with pytest.raises(RunFailed, match=reason) as failed:
                flows.push()
            assert str(failed.value).endswith(
                "a later run continues by itself. If you fix the cause before, rerun with --now to skip the back-off."
            )
        with pytest.raises(RunFailed, match=r"UTC; a later run continues by itself\.$"):
            flows.push(now=True)
        node.start()
        assert flows.push(now=True).message == "pushed 5 records on 1 lane"
        assert flows.pull(now=True).lanes[0].state == "done"


def test_a_node_killed_during_a_push_gets_the_remaining_records_after_its_restart(
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
        assert all(order.push_success is not False for order in found.values()), (
            "no record is flagged as failed"
        )
        victim.start()
        rest = f"pushed {60 - len(flagged)} records on 1 lane, 2 lanes have nothing pending"
        assert flows.push().message == rest
        for number, node in enumerate(nodes, start=1):
            assert [arrival.id for arrival in node.arrivals()] == list(range(number, 181, 3))


def kill_after(node: NodeProcess, count: int) -> None:
    """Kill a node as soon as it has stored ``count`` records."""
    while len(node.arrivals()) < count:
        sleep(0.01)
    node.kill()


def test_a_retried_run_repeats_only_the_lanes_that_failed(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2] * 5)
    down = threading.Event()
    down.set()

    def failing_at_first(asked: Asked) -> Answer:
        if down.is_set() and asked.path.endswith("push.json"):
            if len([path for path in second.paths() if path.endswith("push.json")]) == 2:
                down.clear()  # both attempts of the lane in the first run have failed
            return Answer(raw=b"")
        return success()

    with scripted_node() as first, scripted_node(failing_at_first) as second:
        fleet.register("n1", first.port, API_KEY)
        fleet.register("n2", second.port, API_KEY)
        outcome = flows_of(fleet).push.with_options(retries=1)()
        assert {result.lane.node: result.state for result in outcome.lanes} == {"n1": "done", "n2": "done"}
        assert first.paths().count("/api/1.0/order/push.json") == 1
        assert (
            second.paths().count("/api/1.0/order/push.json") >= 3
        )  # smaller batches after the connection was lost


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        pytest.param(None, "it is not in the inventory", id="unknown"),
        pytest.param({"services": ["another"]}, "it does not run shop.orders", id="without the service"),
    ],
)
def test_a_node_that_is_unknown_or_does_not_run_the_service_fails_the_run(
    prefect: str, fleet: Fleet, more: dict[str, list[str]] | None, reason: str
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
    rows = {row["node"]: row for row in latest_table(prefect, "workmesh-nodes")}
    assert (rows["ghost"]["entities"], rows["ghost"]["pending"]) == (1, 2)
    assert rows["ghost"]["state"] == ("unknown" if more is None else "active")


def test_a_disabled_node_gets_no_request_and_does_not_fail_the_run(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", None])
    write_orders(fleet.engine, [1, 1])
    with scripted_node() as node:
        fleet.register("n1", node.port, API_KEY, state="disabled")
        flows = flows_of(fleet)
        assert flows.push().message == "pushed 0 records on 1 lane, 1 lane disabled"
        assert "1 could not be assigned: no active node runs the service" in flows.assign().message
        assert node.asked == []
