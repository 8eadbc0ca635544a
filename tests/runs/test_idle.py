"""Runs that find nothing to do, or little: what they cost, and what they still report."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect.events.worker import EventsWorker
from sqlalchemy import delete, select, update

from tests.operations.delivery.lane_runs import PING
from tests.runs.shop_flows import flows_of, nodes
from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run, latest_table, post, task_runs
from tests.support.scripted_node import API_KEY, Answer, scripted_node
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.lanes import lease_lane
from workmesh_flows.adapters.store.schema import conditions, lanes, probes, published
from workmesh_flows.domain.lane import Lane
from workmesh_flows.errors import RunFailed
from workmesh_flows.status import node_status

PUSH_TABLE = "workmesh-shop-orders-push"


@pytest.fixture(autouse=True)
def _no_retries(prefect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del prefect
    monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_LANE_RETRIES", "0")


def artifacts_of(api: str, runs: int) -> list[list[str]]:
    """The keys of the artifacts of each of the last runs, the oldest first."""
    found = post(api, "/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": runs})
    return [
        sorted(
            artifact["key"]
            for artifact in post(
                api, "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
            )
        )
        for run in reversed(found)
    ]


def events_of(api: str, run: str) -> list[str]:
    """The names of Workmesh's events of a run."""
    asked = {"filter": {"any_resource": {"id": [f"prefect.flow-run.{run}"]}}, "limit": 50}
    return [
        event["event"]
        for event in post(api, "/events/filter", asked)["events"]
        if event["event"].startswith("workmesh.")
    ]


def test_a_run_that_finds_nothing_costs_no_task_request_artifact_or_event(prefect: str, fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2])
    flows = flows_of(fleet)
    with nodes(fleet, "n1", "n2") as running:
        assert flows.push().message == "pushed 2 records on 2 lanes"
        idle = "pushed 0 records on 0 lanes, 2 lanes have nothing pending"
        assert flows.push().message == idle
        for node in running.values():
            node.asked.clear()
        EventsWorker.drain_all()
        result = flows.push()
        assert (result.message, result.lanes, len(result.idle)) == (idle, [], 2)
        assert [node.asked for node in running.values()] == [[], []]
    assert artifacts_of(prefect, 2) == [[PUSH_TABLE], []]
    EventsWorker.drain_all()
    run = latest_run(prefect)
    assert run["state"]["message"] == idle
    assert events_of(prefect, run["id"]) == []
    assert task_runs(prefect, run["id"]) == []


def test_a_pull_and_an_assignment_that_find_nothing_cost_nothing(prefect: str, fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    flows = flows_of(fleet)
    with nodes(fleet, "n1") as running:
        flows.sync()
        running["n1"].asked.clear()
        message = flows.sync().message
        assert running["n1"].asked == []
    assert message == (
        "assigned 0 entities; pushed 0 records on 0 lanes, 1 lane has nothing pending; "
        "pulled 0 records on 0 lanes, 1 lane has nothing in flight"
    )
    assert artifacts_of(prefect, 1) == [[]]
    assert task_runs(prefect, latest_run(prefect)["id"]) == []


def test_a_lane_that_becomes_pending_between_two_runs_is_found(prefect: str, fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    write_orders(fleet.engine, [1, 2])
    flows = flows_of(fleet)
    with nodes(fleet, "n1", "n2"):
        flows.push()
        flows.push()
        write_orders(fleet.engine, [2], first=3)
        assert flows.push().message == "pushed 1 record on 1 lane, 1 lane has nothing pending"
    assert with_push_success(fleet.engine, True) == [1, 2, 3]
    (row,) = latest_table(prefect, PUSH_TABLE)
    assert (row["node"], row["pushed"]) == ("n2", 1)


def test_a_bookmarked_page_is_renewed_after_ten_minutes_without_change(prefect: str, fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    flows = flows_of(fleet)
    with nodes(fleet, "n1"):
        flows.push()
        flows.push()
        with fleet.engine.begin() as connection:
            ago = datetime.now(UTC) - timedelta(minutes=10)
            connection.execute(update(published).values(published_at=ago))
        flows.push()
    first, second, third = artifacts_of(prefect, 3)
    assert (second, third) == ([], first)
    assert {"workmesh-overview", "workmesh-shop-orders", "workmesh-nodes", PUSH_TABLE} <= set(first)


def test_an_explicit_count_probes_and_publishes_everything(prefect: str, fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    flows = flows_of(fleet)
    with nodes(fleet, "n1") as running:
        flows.push()
        running["n1"].asked.clear()
        flows.status()
        assert PING in running["n1"].paths()
    assert "workmesh-overview" in artifacts_of(prefect, 1)[0]


def test_an_idle_lane_that_another_run_holds_is_busy(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    clock = database_clock(fleet.engine)
    with (
        nodes(fleet, "n1"),
        lease_lane(
            fleet.engine, Lane("shop.orders", "order", "n1"), holder="a drain", clock=clock, lease_seconds=30
        ),
    ):
        message = flows_of(fleet).push().message
    assert message.startswith("pushed 0 records on 1 lane, 1 lane busy (order to n1: held by a drain until ")


def test_a_lane_that_is_paused_fails_the_run_without_a_task(prefect: str, fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1])
    flows = flows_of(fleet)
    with nodes(fleet, "n1"):
        flows.push()
        until = datetime.now(UTC) + timedelta(seconds=300)
        paused = {"retry_at": until, "breaker": "open", "failures": 5, "last_failure": "no connection"}
        with fleet.engine.begin() as connection:
            connection.execute(update(lanes).values(**paused))
        with pytest.raises(RunFailed, match="its circuit breaker is open until") as caught:
            flows.push()
        assert "a later run continues by itself" in str(caught.value)
        assert task_runs(prefect, latest_run(prefect)["id"]) == []
        write_orders(fleet.engine, [1], first=2)
        with pytest.raises(RunFailed, match="its circuit breaker is open until"):
            flows.push()
        assert flows.push(now=True).message == "pushed 1 record on 1 lane"


def test_a_stopped_lane_with_nothing_left_to_do_is_no_condition_any_more(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1])
    flows = flows_of(fleet)

    def stopped() -> list[str]:
        with fleet.engine.connect() as connection:
            kind = conditions.c.kind == "lane stopped"
            return list(connection.scalars(select(conditions.c.subject).where(kind)))

    with scripted_node(lambda _: Answer(b"", 403)) as node:
        fleet.register("n1", node.port, API_KEY)
        with pytest.raises(RunFailed):
            flows.push()
        assert stopped() == ["shop.orders/order/n1/push"]
        with fleet.engine.begin() as connection:
            connection.exec_driver_sql('DELETE FROM "select"')
        flows.push()
    assert stopped() == []


def works(fleet: Fleet) -> dict[str, bool]:
    with fleet.engine.connect() as connection:
        return dict(connection.execute(select(probes.c.node, probes.c.works)).all())


def test_a_node_that_a_lane_could_not_reach_is_probed_at_once(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1])
    flows = flows_of(fleet)
    with nodes(fleet, "n1"):
        flows.push()
    assert works(fleet) == {"n1": True}
    write_orders(fleet.engine, [1], first=2)
    with pytest.raises(RunFailed):
        flows.push()
    assert works(fleet) == {"n1": False}
    with nodes(fleet, "n1"):
        flows.push(now=True)
    assert works(fleet) == {"n1": True}


def test_a_node_that_accepts_the_key_again_is_probed_at_once(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1])
    flows = flows_of(fleet)
    with nodes(fleet, "n1") as running:
        node = running["n1"]
        accepting = node.script
        node.script = lambda asked: Answer(code=401)
        with pytest.raises(RunFailed):
            flows.push()
        assert works(fleet) == {"n1": False}
        node.script = accepting
        flows.push(now=True)
        assert works(fleet) == {"n1": True}


@pytest.mark.parametrize("case", ["the setting", "its age", "the block", "workmesh nodes"])
def test_a_node_is_probed_again(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    write_shops(fleet.engine, ["n1"])
    flows = flows_of(fleet)
    with nodes(fleet, "n1") as running:
        flows.push()
        node = running["n1"]
        node.asked.clear()
        flows.push()
        assert node.asked == []

        def older() -> None:
            with fleet.engine.begin() as connection:
                ago = datetime.now(UTC) - timedelta(seconds=61)
                connection.execute(update(probes).values(probed_at=ago))

        changes: dict[str, Callable[[], Any]] = {
            "the setting": lambda: monkeypatch.setenv("PREFECT_INTEGRATIONS_WORKMESH_PROBE_SECONDS", "0"),
            "its age": older,
            "the block": lambda: fleet.register("n1", node.port, "another key"),
            "workmesh nodes": lambda: node_status(fleet.mesh),
        }
        changes[case]()
        flows.push()
        assert node.paths().count(PING) == 1


def test_a_node_that_was_removed_and_added_is_probed(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1"])
    with nodes(fleet, "n1"):
        flows_of(fleet).push()
        with fleet.engine.begin() as connection:
            connection.execute(delete(probes))
        flows_of(fleet).push()
    assert works(fleet) == {"n1": True}


def test_a_pull_of_named_nodes_asks_them_in_any_case(fleet: Fleet) -> None:
    write_shops(fleet.engine, ["n1", "n2"])
    flows = flows_of(fleet)
    with nodes(fleet, "n1", "n2") as running:
        flows.push()
        for node in running.values():
            node.asked.clear()
        assert flows.pull(nodes=["n1"]).message == "pulled 0 records on 1 lane"
        assert running["n1"].asked
        assert running["n2"].asked == []
