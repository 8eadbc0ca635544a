"""A lane that is retried within a run: the run reports all attempts as one, and its limits hold over all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.fleet import Fleet
from tests.support.prefect_api import latest_table
from tests.support.scripted_node import API_KEY, Answer, Asked, scripted_node, success
from tests.support.shop import with_push_success, write_orders, write_shops
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import LaneStopped, RunFailed
from workmesh_flows.flows import ServiceFlows, service_flows
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.settings import PREFIX
from workmesh_flows.tasks.retries import with_attempts

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


NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass(slots=True)
class Attempts:
    """A lane whose attempts end as given: a pause in seconds that its node asks for after some pushed records, or None."""

    ends: list[tuple[float | None, int]]
    now: datetime = NOON
    slept: list[float] = field(default_factory=list)
    breaker: bool = False

    def __call__(self, earlier: PushReport, started: datetime) -> PushReport:
        assert started == NOON
        pause, pushed = self.ends.pop(0)
        report = PushReport("order", "n1", selected=pushed, pushed=pushed)
        if pause is None:
            return report
        until = self.now + timedelta(seconds=pause)
        raise LaneStopped("it is full", report=report, until=until, asked=not self.breaker)

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds))
        self.now += timedelta(seconds=seconds)

    def run(self, monkeypatch: pytest.MonkeyPatch) -> PushReport:
        """Run the attempts, with 3 retries, which would pause for 2, 4 and 8 seconds."""
        monkeypatch.setenv(f"{PREFIX}LANE_RETRIES", "3")
        monkeypatch.setenv(f"{PREFIX}LANE_RETRY_SECONDS", "2")
        monkeypatch.setattr("workmesh_flows.tasks.retries.sleep", self.sleep)
        return with_attempts(PushReport("order", "n1"), lambda: self.now, self)


@pytest.mark.parametrize(
    ("ends", "slept"),
    [
        pytest.param([(1, 5), (None, 5)], [1], id="one pause"),
        pytest.param([(1, 0), (5, 0), (7, 10), (None, 0)], [1, 5, 7], id="pauses as long as all retries"),
        pytest.param(
            [(13, 1), (13, 1), (13, 1), (None, 7)], [13, 13, 13], id="pauses with progress in between"
        ),
    ],
)
def test_a_short_pause_that_a_node_asks_for_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, ends: list[tuple[float | None, int]], slept: list[int]
) -> None:
    attempts = Attempts(ends)
    report = attempts.run(monkeypatch)
    assert attempts.slept == slept
    assert report.pushed == 10
    assert report.seconds == pytest.approx(sum(slept), abs=0.5), "the run's limit of seconds holds"


@pytest.mark.parametrize(
    ("ends", "slept", "breaker"),
    [
        pytest.param([(20, 5)], [], False, id="a long pause"),
        pytest.param([(8, 0), (8, 0)], [8], False, id="short pauses without progress"),
        pytest.param([(1, 0)], [], True, id="a pause of the circuit breaker"),
    ],
)
def test_other_pauses_end_the_lane(
    monkeypatch: pytest.MonkeyPatch, ends: list[tuple[float | None, int]], slept: list[int], breaker: bool
) -> None:
    attempts = Attempts(ends, breaker=breaker)
    with pytest.raises(LaneStopped):
        attempts.run(monkeypatch)
    assert attempts.slept == slept


@pytest.mark.parametrize(("seconds", "completes"), [(1, True), (3_600, False)])
def test_a_run_waits_for_a_short_pause_and_advises_nobody_to_end_a_long_one(
    fleet: Fleet, flows: ServiceFlows, monkeypatch: pytest.MonkeyPatch, seconds: int, completes: bool
) -> None:
    monkeypatch.setenv(f"{PREFIX}LANE_RETRY_SECONDS", "2")
    monkeypatch.setenv(f"{PREFIX}LANE_RETRIES", "1")
    full = iter([False, True])

    def script(asked: Asked) -> Answer:
        if asked.path.endswith("push.json") and next(full, False):
            return Answer(code=429, headers={"Retry-After": str(seconds)})
        return success()

    with scripted_node(script) as node:
        fleet.register("n1", node.port, API_KEY)
        if completes:
            assert flows.push().message == f"pushed {ORDERS} records on 1 lane"
            return
        for _ in range(2):
            with pytest.raises(RunFailed) as failed:
                flows.push()
            assert re.search(
                r"not sent stay pending\. The lane is paused until [-0-9]+ [:0-9]+ UTC; a later run continues by itself\.$",
                str(failed.value),
            )
    assert len(with_push_success(fleet.engine, True)) == BATCH
