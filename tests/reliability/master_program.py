"""A master that works its lanes as a schedule would, until nothing is left to do: in a process that can be killed.

``python -m tests.reliability.master_program`` reads orders, a line of JSON each. It is warm, that is, it has imported all that
is needed, and makes a process of its own for each order. How that ended is a line of JSON again.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import SecretStr
from sqlalchemy import Engine, NullPool, create_engine, event, select

from tests.reliability.failpoints import Failpoints, watch_requests, watch_statements
from tests.reliability.mail_mesh import SERVICE, Delivery, mesh
from tests.reliability.sweep_situation import mend
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import LaneBusy, LaneError, LanePaused, LaneStopped
from workmesh_flows.microservice import arrivals
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.testing import History, record_report

LEASE = 0.3
BREAKER = 0.005
SECONDS = 150
LANES = (("push", "delivery"), ("push", "open"), ("pull", "delivery"))


@dataclass(slots=True)
class Master:
    """One life of a master; ``aside`` is a connection that is not watched."""

    order: Mapping[str, Any]
    engine: Engine
    aside: Engine
    points: Failpoints
    history: History

    def work(self) -> None:
        """Round by round, until one in which there was nothing to do."""
        end = time.monotonic() + SECONDS
        while True:
            mend(self.aside)
            idle = [self._lane(*lane, end) for lane in LANES]
            if all(idle) and not self._on_their_way():
                return
            if time.monotonic() > end:
                raise TimeoutError(f"there is still something to do after {SECONDS} s")

    def _lane(self, direction: str, protocol: str, end: float) -> bool:
        """One run over one lane; whether it had nothing to do, and did not stop."""
        self.points.step = f"{direction} {protocol}"
        known = self.order["node"]
        node = Node(known["name"], "127.0.0.1", SecretStr(known["api_key"]), (SERVICE,), known["port"])
        service = mesh.service(SERVICE)
        limits = Limits(lease_seconds=LEASE, breaker_failures=1, breaker_seconds=BREAKER)
        work = LaneContext(
            self.engine, service, service.protocol(protocol), node, "a master", limits, self._progress
        )
        if direction == "pull":
            while not all(arrival.processed_at for arrival in arrivals(known["database"])):
                time.sleep(0.01)
        while True:
            try:
                report = push_lane(work) if direction == "push" else pull_lane(work)
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
        """Behind the first batch, wait until the lease was renewed once."""
        self.points.renewed.wait(2 * LEASE)

    def _on_their_way(self) -> bool:
        waits = select(Delivery.id).where(Delivery.push_success.is_(True), Delivery.pull_success.is_(None))
        with self.aside.connect() as connection:
            return connection.execute(waits.limit(1)).first() is not None


def live(order: Mapping[str, Any]) -> Mapping[str, int]:
    """One life; how often each failpoint was passed, where it was not its end."""
    die_at = order["die_at"]
    points = Failpoints(None if die_at is None else (die_at[0], die_at[1]))
    engine, aside = open_engine(order["database"]), create_engine(order["database"], poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        # A process that is killed loses nothing that the operating system has; only a power cut would.
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
        engine.dispose()  # what it opened so far
    watch_statements(engine, points)
    watch_requests(points)
    with History(order["history"]) as history:
        Master(order, engine, aside, points, history).work()
    return points.passed


def main() -> None:
    for line in sys.stdin:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.write(write, json.dumps(live(json.loads(line))).encode())
                status = 0
            except BaseException:  # noqa: BLE001 - told to the test by the status
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(write)
        with os.fdopen(read) as said:
            passed = said.read()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        sys.stdout.write(json.dumps({"code": code, "passed": json.loads(passed or "{}")}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
