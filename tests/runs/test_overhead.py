"""What a run costs the Prefect server: so many tasks a lane and so many calls a run, whatever the number of records."""

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
CALLS = 30
"""The run and its states 6, artifacts 7, the inventory 4, what the pages ask 3, Prefect's own first calls 10."""
EVENTS_A_TASK, OTHER_EVENTS = 3, 15
"""A task is pending, running, completed; the others are the run's and ours."""
ARTIFACT, UPDATE, LOGS = "POST /api/artifacts/", "PATCH /api/artifacts/ID", "POST /api/logs/"
ARTIFACTS = 7
"""Tables and pages of a sync; what is above is bars of progress. Logs go by time, several at once."""
SHOWN_A_LANE = 100 / STEP + 1
"""Figures that a lane shows however long it takes; each is told by an event, too."""


@dataclass(slots=True)
class Counted:
    """Twenty nodes, and the server seen through a relay that counts."""

    fleet: Fleet
    relay: Relay
    written: int = 0
    latest: dict[str, int] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Answer:
        """As a node that works everything off at once; each is known by its key."""
        node, path = asked.body["api_key"], asked.path.rpartition("/")[2]
        if path == "status.json":
            return success(self.latest.get(node))
        if path == "pull.json":
            return success({str(order): {"score": 1} for order in asked.body["ids"]})
        if path == "push.json":
            self.latest[node] = asked.body["orders"][-1]["id"]
        return success()

    def write(self, number: int) -> None:
        """So many orders more, as many for each node."""
        write_orders(
            self.fleet.engine, [1 + order % LANES for order in range(number)], first=self.written + 1
        )
        self.written += number

    def run(self, action: str) -> dict[str, int]:
        """Run a flow; calls, messages over websockets, and task runs that it cost."""
        flow = getattr(service_flows(self.fleet.mesh, "shop.orders", module=__name__), action)
        EventsWorker.drain_all()  # what others left in the queue is not of this run
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
        """Prefect records task runs some seconds later: until no more come."""
        api, run = f"http://127.0.0.1:{self.relay.server}/api", latest_run_id(self.relay)
        end, found = monotonic() + 60, -1
        while monotonic() < end:
            now = len(task_runs(api, run))
            if now == found and now > LANES:
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


def see_bounds(cost: dict[str, int], lanes: int) -> None:
    assert lanes <= cost["tasks"] <= TASKS, cost
    assert cost["calls"] <= CALLS, cost
    events = cost["messages"] - cost["shown"]
    assert cost["tasks"] <= events <= EVENTS_A_TASK * cost["tasks"] + OTHER_EVENTS, cost
    assert cost["shown"] <= lanes * SHOWN_A_LANE, cost


@pytest.mark.timeout(240)
def test_ten_times_the_records_cost_no_more_tasks_calls_and_events(counted: Counted) -> None:
    costs: dict[str, list[dict[str, int]]] = {"push": [], "pull": []}
    for number in (200, 2000):
        counted.write(number)
        for action, of_action in costs.items():
            of_action.append(counted.run(action))
    for few, many in costs.values():
        see_bounds(few, LANES)
        see_bounds(many, LANES)
        assert many["tasks"] == few["tasks"], costs
        assert many["calls"] <= few["calls"] + 2, costs  # a connection that had to be made anew
    assert all(order.pull_success for order in orders(counted.fleet.engine).values())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sync_of_twenty_thousand_records_stays_in_the_same_bounds(counted: Counted) -> None:
    for number in (200, 2_000, 20_000):
        counted.write(number)
        for action in ("push", "pull"):
            cost = counted.run(action)
            logger.info("%s of %d: %s", action, number, cost)
            see_bounds(cost, LANES)
        counted.write(number)
        cost = counted.run("sync")
        logger.info("sync of %d: %s", number, cost)
        see_bounds(cost, 2 * LANES)
