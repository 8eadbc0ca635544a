"""A lane that is retried within a run: the run reports all attempts as one, and its limits hold over all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_table
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import RunFailed
from workmesh_flows.flows import ServiceFlows, service_flows
from workmesh_flows.operations.delivery.limits import RunLimits

ORDERS, BATCH = 40, 10


@dataclass(slots=True)
class Unreliable:
    """A node that accepts one batch, then drops the answer of each push whose number ``drops`` selects, and one ping."""

    drops: Callable[[int], bool]
    pushes: int = field(default=0)
    lost: bool = field(default=False)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path.endswith("push.json"):
            self.pushes += 1
            self.lost = self.pushes > 1 and self.drops(self.pushes - 1)
            return Answer(raw=b"") if self.lost else success()
        lost, self.lost = self.lost, False
        return Answer(raw=b"") if lost else success()


@pytest.fixture
def flows(fleet: Fleet) -> ServiceFlows:
    """The flows of a mesh whose lanes have two attempts; one shop, with four batches of orders."""
    write_shops(fleet.engine, ["n1"])
    write_orders(fleet.engine, [1] * ORDERS)
    return service_flows(fleet.mesh, "shop.orders", module=__name__)


def test_a_run_whose_lane_succeeds_in_the_second_attempt_reports_both(
    fleet: Fleet, flows: ServiceFlows
) -> None:
    with scripted_node(Unreliable(lambda number: number == 1)) as node:
        fleet.register("n1", node.port, API_KEY)
        assert flows.push().message == f"pushed {ORDERS} records on 1 lane"
    assert len(with_push_success(fleet.engine, True)) == ORDERS


def test_a_run_whose_lane_fails_in_every_attempt_reports_what_they_pushed(
    fleet: Fleet, flows: ServiceFlows, prefect: str
) -> None:
    with scripted_node(Unreliable(lambda number: True)) as node:
        fleet.register("n1", node.port, API_KEY)
        with pytest.raises(RunFailed, match=f"Total: pushed {BATCH} records on 1 lane"):
            flows.push()
    (row,) = latest_table(prefect, "workmesh-shop-orders-push")
    assert (row["state"], row["pushed"]) == ("stopped", BATCH)
    assert len(with_push_success(fleet.engine, True)) == BATCH


def test_a_limit_holds_for_the_run_and_not_for_each_attempt(fleet: Fleet, flows: ServiceFlows) -> None:
    with scripted_node(Unreliable(lambda number: number == 1)) as node:
        fleet.register("n1", node.port, API_KEY)
        assert flows.push(limit=25).message == "pushed 25 records on 1 lane, 15 not reached"
    assert len(with_push_success(fleet.engine, True)) == 25


def test_a_report_over_attempts_adds_what_they_finished_and_keeps_what_the_last_one_left() -> None:
    first = PushReport("order", "n1", selected=20, pushed=10, refused=2, parked=1, waiting=7, seconds=1.0)
    last = PushReport("order", "n1", selected=9, pushed=5, refused=1, waiting=3, not_reached=4, seconds=2.0)
    assert last.after(first) == PushReport("order", "n1", 22, 15, 3, 1, 3, 4, 3.0)
    assert PullReport("order", "n1", 4, 3, 1, seconds=1.0).after(PullReport("order", "n1", 9, 5, 2, 2)) == (
        PullReport("order", "n1", selected=9, pulled=8, failed=1, in_flight=0, seconds=1.0)
    )
    assert RunLimits(10, 3.0).after(12, 1.0) == RunLimits(0, 2.0)
    assert RunLimits().after(12, 1.0) == RunLimits()
