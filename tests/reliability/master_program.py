"""A master that runs its lanes as a schedule would, until all work is done, in a process that can be killed.

``python -m tests.reliability.master_program`` reads orders, one line of JSON each. It has imported everything, and forks
a process for each order. The result of the process is one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr
from sqlalchemy import Engine, NullPool, create_engine, event, select

from tests.reliability.failpoints import Failpoints, watch_requests, watch_statements
from tests.reliability.mail_mesh import SERVICE, Delivery, mesh
from tests.reliability.sweep_situation import FIXED_BY_NODE, fix_deliveries
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.adapters.store.open_counts import count_open, save_open
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import LaneBusy, LaneError, LanePaused, LaneStopped
from workmesh_flows.microservice import arrivals
from workmesh_flows.operations.counts import correct_counts, count_records
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.delivery.replay import decide_refused, list_refused
from workmesh_flows.planning.refusals import RefusalState
from workmesh_flows.testing import History, RecordReplayed, record_report

LEASE = 0.3
BREAKER = 0.005
SECONDS = 150
LANES = (("push", "delivery"), ("push", "open"), ("pull", "delivery"), ("pull", "open"))


@dataclass(slots=True)
class Master:
    """One run of a master; ``unwatched`` is an engine without failpoints."""

    order: Mapping[str, Any]
    engine: Engine
    unwatched: Engine
    points: Failpoints
    history: History

    def run(self) -> None:
        """Run all lanes in cycles, until a cycle has nothing to do, also after the replay of failed records; then count."""
        end = time.monotonic() + SECONDS
        while True:
            fix_deliveries(self.unwatched)
            idle = [self._lane(*lane, end) for lane in LANES]
            if all(idle) and not self._in_flight() and not self._replay():
                self._count()
                return
            if time.monotonic() > end:
                raise TimeoutError(f"work is left after {SECONDS} s")

    def _replay(self) -> bool:
        """Fix the node and replay all failed records, as a user would; False where the fixed ones have not failed."""
        self.points.step = "replay"
        listed = list_refused(self.unwatched, mesh)
        failed = [
            (record.protocol, int(record.record)) for record in listed if record.state is RefusalState.FAILED
        ]
        if not FIXED_BY_NODE.intersection(failed):
            return False
        Path(self.order["fixed"]).touch()
        for protocol, number in failed:
            self.history.write(
                RecordReplayed(service=SERVICE, protocol=protocol, id=number, time=time.time())
            )
        decide_refused(self.engine, mesh.service(SERVICE), "replay", failed=True)
        return True

    def _count(self) -> None:
        """Count as at the end of a run, and exactly; save the open records, as in a mesh with several services."""
        self.points.step = "count"
        (service,) = mesh.services
        count_records(self.engine, [service])
        save_open(self.engine, service, count_open(self.engine, service))
        assert correct_counts(self.engine, [service]) == []

    def _lane(self, direction: str, protocol: str, end: float) -> bool:
        """One run of one lane; returns whether it had nothing to do and did not stop."""
        self.points.step = f"{direction} {protocol}"
        entry = self.order["node"]
        node = Node(entry["name"], "127.0.0.1", SecretStr(entry["api_key"]), (SERVICE,), entry["port"])
        service = mesh.service(SERVICE)
        limits = Limits(lease_seconds=LEASE, breaker_failures=1, breaker_seconds=BREAKER)
        context = LaneContext(
            self.engine, service, service.protocol(protocol), node, "a master", limits, self._progress
        )
        if direction == "pull":
            while not all(arrival.processed_at for arrival in arrivals(entry["database"])):
                time.sleep(0.01)
        while True:
            try:
                report = push_lane(context) if direction == "push" else pull_lane(context)
                break
            except LaneStopped as stopped:
                record_report(self.history, cast("PushReport | PullReport", stopped.report), service=SERVICE)
                time.sleep(5 * BREAKER)  # longer than the pause of an open breaker
                return False
            except (LaneBusy, LanePaused) as error:
                self._wait_or_raise(error, end)
        record_report(self.history, report, service=SERVICE)
        return isinstance(report, PullReport) or not (report.pushed or report.refused or report.parked)

    def _wait_or_raise(self, error: LaneError, end: float) -> None:
        if time.monotonic() > end:
            raise error
        time.sleep(0.02)

    def _progress(self, done: int, total: int) -> None:
        """After the first batch, wait until the lease was renewed once."""
        self.points.renewed.wait(2 * LEASE)

    def _in_flight(self) -> bool:
        in_flight = select(Delivery.id).where(
            Delivery.push_success.is_(True), Delivery.pull_success.is_(None)
        )
        with self.unwatched.connect() as connection:
            return connection.execute(in_flight.limit(1)).first() is not None


def run_order(order: Mapping[str, Any]) -> Mapping[str, int]:
    """Run one master; returns how often it passed each failpoint, unless it is killed."""
    die_at = order["die_at"]
    points = Failpoints(None if die_at is None else (die_at[0], die_at[1]))
    engine, unwatched = open_engine(order["database"]), create_engine(order["database"], poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        # A killed process loses no data that the operating system has; only a power failure would.
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        engine.dispose()  # close the connections that are open without the pragma
    watch_statements(engine, points)
    watch_requests(points)
    with History(order["history"]) as history:
        Master(order, engine, unwatched, points, history).run()
    return points.passed


def main() -> None:
    for line in sys.stdin:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.write(write, json.dumps(run_order(json.loads(line))).encode())
                status = 0
            except BaseException:  # noqa: BLE001 - the exit status reports it to the test
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(write)
        with os.fdopen(read) as pipe:
            passed = pipe.read()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        sys.stdout.write(json.dumps({"code": code, "passed": json.loads(passed or "{}")}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
