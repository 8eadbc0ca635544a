"""Events as received by the server: one when a problem starts, and one when it is resolved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import Engine, update

from tests.operations.delivery.lane_runs import FAILED
from tests.operations.delivery.refusals import few_attempts, refusing_these
from tests.support.fleet import Fleet
from tests.support.prefect_api import post
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.serving_process import ROOT
from tests.support.shop import Shop, write_orders, write_shops
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.conditions import all_conditions
from workmesh_flows.blocks import ServiceLimits, WorkmeshNode
from workmesh_flows.errors import RunFailed
from workmesh_flows.flows import service_flows
from workmesh_flows.observability.events import flush_events

PATIENCE = 15.0


@pytest.fixture
def seen(prefect: str) -> Any:
    """Workmesh's events since the test started, as soon as the given number has reached the server."""
    started = datetime.now(UTC)

    def wait_for(number: int) -> list[dict[str, Any]]:
        end = monotonic() + PATIENCE
        while len(found := _events(prefect, started)) < number:
            assert monotonic() < end, [event["event"] for event in found]
            sleep(0.2)
        return sorted(found, key=lambda event: event["occurred"])

    return wait_for


def _events(api: str, since: datetime) -> list[dict[str, Any]]:
    wanted = {"event": {"prefix": ["workmesh."]}, "occurred": {"since": since.isoformat()}, "order": "DESC"}
    events: list[dict[str, Any]] = post(api, "/events/filter", {"filter": wanted, "limit": 50})["events"]
    return events


def names(events: list[dict[str, Any]]) -> list[str]:
    return sorted(event["event"] for event in events)


def related(event: dict[str, Any]) -> set[str]:
    roles = {"node", "service"}
    return {r["prefect.resource.id"] for r in event["related"] if r["prefect.resource.role"] in roles}


def flows_of(fleet: Fleet, attempts: int = 5) -> Any:
    fleet.mesh = Mesh([few_attempts(attempts=attempts)], database=lambda: fleet.engine)
    return service_flows(fleet.mesh, "shop.orders", module=__name__)


def stop_a_lane(fleet: Fleet, *, runs: int) -> Any:
    """The flows of a mesh after a number of runs in which its only node refused the API key."""
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 5)
    flows = flows_of(fleet)
    with scripted_node(lambda _: Answer(b"", 403)) as node:
        fleet.register("n1", node.port, API_KEY)
        for _ in range(runs):
            with pytest.raises(RunFailed):
                flows.push()
    return flows


def test_a_stopped_lane_is_reported_once_and_again_when_it_resumes(fleet: Fleet, seen: Any) -> None:
    flows = stop_a_lane(fleet, runs=2)
    stopped = seen(2)
    with scripted_node(refusing_these()) as node:
        fleet.register("n1", node.port, API_KEY)
        flows.push()
    events = seen(4)
    assert names(events) == [
        "workmesh.lane.resumed",
        "workmesh.lane.stopped",
        "workmesh.node.recovered",
        "workmesh.node.unreachable",
    ]
    (lane,) = (event for event in stopped if event["event"] == "workmesh.lane.stopped")
    assert lane["resource"]["prefect.resource.id"] == "workmesh.lane.shop.orders/order/n1/push"
    assert related(lane) == {"workmesh.node.n1", "workmesh.service.shop.orders"}
    assert lane["payload"]["state"] == "stopped"
    assert "403" in lane["payload"]["reason"]
    (resumed,) = (event for event in events if event["event"] == "workmesh.lane.resumed")
    assert resumed["payload"]["state"] == "done"
    assert "reason" not in resumed["payload"], "the reason of the stop is over"
    assert API_KEY not in str(events)


def test_conditions_of_a_deleted_node_are_resolved(fleet: Fleet, seen: Any) -> None:
    flows = stop_a_lane(fleet, runs=1)
    assert {condition.kind for condition in all_conditions(fleet.engine)} == {
        "lane stopped",
        "node unreachable",
    }
    with fleet.engine.begin() as connection:
        connection.execute(update(Shop).values(node=None))  # as a drain does
    WorkmeshNode.delete("n1")
    assert flows.status().message == "counted"
    assert all_conditions(fleet.engine) == []
    assert names(seen(4))[0::2] == ["workmesh.lane.resumed", "workmesh.node.recovered"]


@pytest.mark.parametrize(
    "decide",
    [
        pytest.param(lambda flows: flows.replay(records=["3"], skip=True), id="skipped"),
        pytest.param(lambda flows: flows.replay(push=False), id="replayed"),
    ],
)
def test_parked_records_are_reported_and_so_is_the_decision(
    fleet: Fleet, seen: Any, decide: Callable[[Any], object]
) -> None:
    write_shops(fleet.engine, ["n1", "n1"])
    write_orders(fleet.engine, [1, 2] * 3)
    flows = flows_of(fleet, attempts=1)
    with scripted_node(refusing_these(3)) as node:
        fleet.register("n1", node.port, API_KEY)
        flows.push()
        flows.push()
        (parked,) = seen(1)
        assert parked["event"] == "workmesh.record.parked"
        assert parked["resource"]["prefect.resource.id"] == "workmesh.record.shop.orders/order/3"
        assert parked["payload"] == {"reason": "no good", "attempts": 1, "waiting": 1, "entity": "1"}
        assert related(parked) == {"workmesh.node.n1", "workmesh.service.shop.orders"}
        decide(flows)
    assert names(seen(2)) == ["workmesh.record.parked", "workmesh.record.released"]
    (_, released) = seen(2)
    assert {name: released["payload"][name] for name in ("attempts", "entity")} == {
        "attempts": 1,
        "entity": "1",
    }
    assert related(released) == {"workmesh.node.n1", "workmesh.service.shop.orders"}


def test_unassigned_entities_are_reported_only_by_runs_that_assign(fleet: Fleet, seen: Any) -> None:
    write_shops(fleet.engine, [None] * 3)
    flows = flows_of(fleet)
    with scripted_node(refusing_these()) as node:
        flows.status()
        fleet.register(
            "n1", node.port, API_KEY, limits=[ServiceLimits(service="shop.orders", max_entities=1)]
        )
        flows.assign()
        flows.push()
        (unassigned,) = seen(1)
        assert unassigned["event"] == "workmesh.entity.unassigned"
        assert unassigned["payload"] == {"unassigned": 2}
        fleet.register("n1", node.port, API_KEY)
        flows.assign()
    assert names(seen(2)) == ["workmesh.entity.assigned", "workmesh.entity.unassigned"]


def test_an_event_saved_as_sent_was_flushed_before_the_process_is_killed(
    fleet: Fleet, engine: Engine, prefect: str, seen: Any
) -> None:
    write_shops(engine, ["n1"])
    write_orders(engine, [1])
    with scripted_node(lambda _: Answer(b"", 403)) as node:
        fleet.register("n1", node.port, API_KEY)
        environment = {
            "PREFECT_API_URL": prefect,
            "PREFECT_INTEGRATIONS_WORKMESH_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        }
        ended = subprocess.run(
            [sys.executable, "-m", "tests.observability.dying_sender"],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
        )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    (saved,) = all_conditions(engine)
    assert saved.kind == "lane stopped"
    assert "workmesh.lane.stopped" in names(seen(1))


@pytest.mark.usefixtures("prefect")  # otherwise Prefect starts a server of its own, which may take minutes
def test_a_run_ends_although_the_event_queue_does_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(
        "workmesh_flows.observability.events.EventsWorker.wait_until_empty", lambda _: stuck.wait(30)
    )
    assert not flush_events(0.05)
    stuck.set()
    assert flush_events()


def test_failed_records_are_reported_once_and_again_when_they_are_replayed(fleet: Fleet, seen: Any) -> None:
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * 3)
    flows = flows_of(fleet)

    def script(asked: Asked) -> Answer:
        if asked.path == FAILED:
            return success({"failed": [{"id": 2, "reason": "a bug"}], "next": "1"})
        return success(None)

    with scripted_node(script) as node:
        fleet.register("n1", node.port, API_KEY)
        flows.push()
        flows.pull()
        flows.pull()
        (failed,) = seen(1)
        assert failed["event"] == "workmesh.record.failed"
        assert failed["resource"]["prefect.resource.id"] == "workmesh.record.shop.orders/order/2"
        assert failed["payload"] == {"reason": "a bug", "attempts": 1, "waiting": 0, "entity": "1"}
        assert related(failed) == {"workmesh.node.n1", "workmesh.service.shop.orders"}
        flows.replay(failed=True)
    assert names(seen(2)) == ["workmesh.record.failed", "workmesh.record.recovered"]
