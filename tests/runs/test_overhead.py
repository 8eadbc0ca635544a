"""The load of a run on the Prefect server: tasks for each lane and calls for each run, independent of the number of records."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic, sleep

import pytest
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_run, task_runs
from tests.support.relay import Relay, relay_to
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from tests.support.shop import orders, write_orders, write_shops
from workmesh_flows.flows import service_flows
from workmesh_flows.observability.progress import STEP

logger = logging.getLogger(__name__)
LANES = 20
TASKS = 2 * LANES + 10
CALLS = 31
"""The run and its states 6, artifacts 7, the inventory 4, queries of the pages 4, first calls of Prefect's client 10."""
EVENTS_A_TASK, OTHER_EVENTS = 3, 15
"""A task emits pending, running and completed; the other events are those of the run and of Workmesh."""
ARTIFACT, UPDATE, LOGS = "POST /api/artifacts/", "PATCH /api/artifacts/ID", "POST /api/logs/"
ARTIFACTS = 7
"""Tables and pages of a sync; further artifacts are progress bars. Logs are sent at intervals, several at once."""
SHOWN_A_LANE = 100 / STEP + 1
"""Progress figures of a lane at most, whatever its length; each emits an event, too."""


@dataclass(slots=True)
class Counted:
    """Twenty nodes, and a server behind a relay that counts its calls."""

    fleet: Fleet
    relay: Relay
    written: int = 0
    latest: dict[str, int] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Answer:
        """The answer of a node that processes every record at once; nodes are distinguished by their API key."""
        node, path = asked.body["api_key"], asked.path.rpartition("/")[2]
        if path == "status.json":
            return success(self.latest.get(node))
        if path == "pull.json":
            return success({str(order): {"score": 1} for order in asked.body["ids"]})
        if path == "push.json":
            self.latest[node] = asked.body["orders"][-1]["id"]
        return success()

    def write(self, number: int) -> None:
        """Write more orders, evenly over the nodes."""
        write_orders(
            self.fleet.engine, [1 + order % LANES for order in range(number)], first=self.written + 1
        )
        self.written += number

    def run(self, action: str) -> dict[str, int]:
        """Run a flow; the number of its calls, messages over websockets, task runs and progress figures."""
        flow = getattr(service_flows(self.fleet.mesh, "shop.orders", module=__name__), action)
        EventsWorker.drain_all()  # events of earlier runs are not counted
        self.relay.calls.clear()
        self.relay.messages = 0
        flow()
        EventsWorker.drain_all()
        calls = dict(self.relay.calls)
        bars = max(calls.get(ARTIFACT, 0) - ARTIFACTS, 0)
        shown = bars + calls.get(UPDATE, 0)
        fixed = sum(calls.values()) - calls.get(LOGS, 0) - shown
        return {"calls": fixed, "messages": self.relay.messages, "tasks": self._tasks(), "shown": shown}

    def _tasks(self) -> int:
        """The number of task runs; waits until it no longer grows, since Prefect records them seconds later."""
        api, run = f"http://127.0.0.1:{self.relay.server}/api", latest_run_id(self.relay)
        end, found = monotonic() + 60, -1
        while monotonic() < end:
            now = len(task_runs(api, run))
            if now == found and now >= LANES:
                return now
            found = now
            sleep(1)
        return found


def latest_run_id(relay: Relay) -> str:
    return str(latest_run(f"http://127.0.0.1:{relay.server}/api")["id"])


@pytest.fixture
def counted(prefect: str, fleet: Fleet) -> Iterator[Counted]:
    with relay_to(prefect) as relay:
        here = Counted(fleet, relay)
        with scripted_node(here.answer) as node:
            names = [f"n{number}" for number in range(LANES)]
            for name in names:
                fleet.register(name, node.port, f"key of {name}")
            write_shops(fleet.engine, names)
            with temporary_settings({PREFECT_API_URL: relay.api.rstrip("/")}):
                yield here
                EventsWorker.drain_all()


def assert_bounds(cost: dict[str, int], lanes: int) -> None:
    assert lanes <= cost["tasks"] <= TASKS, cost
    assert cost["calls"] <= CALLS, cost
    events = cost["messages"] - cost["shown"]
    assert cost["tasks"] <= events <= EVENTS_A_TASK * cost["tasks"] + OTHER_EVENTS, cost
    assert cost["shown"] <= lanes * SHOWN_A_LANE, cost


@pytest.mark.timeout(240)
def test_ten_times_the_records_need_no_more_tasks_calls_and_events(counted: Counted) -> None:
    costs: dict[str, list[dict[str, int]]] = {"push": [], "pull": []}
    for number in (200, 2000):
        counted.write(number)
        for action, of_action in costs.items():
            of_action.append(counted.run(action))
    for few, many in costs.values():
        assert_bounds(few, LANES)
        assert_bounds(many, LANES)
        assert many["tasks"] == few["tasks"], costs
        assert many["calls"] <= few["calls"] + 2, costs  # a connection that was opened again
    assert all(order.pull_success for order in orders(counted.fleet.engine).values())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sync_of_twenty_thousand_records_stays_within_the_same_bounds(counted: Counted) -> None:
    for number in (200, 2_000, 20_000):
        counted.write(number)
        for action in ("push", "pull"):
            cost = counted.run(action)
            logger.info("%s of %d: %s", action, number, cost)
            assert_bounds(cost, LANES)
        counted.write(number)
        cost = counted.run("sync")
        logger.info("sync of %d: %s", number, cost)
        assert_bounds(cost, 2 * LANES)
