"""The final phase of a soak: faults have ended, and all work is finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from tests.reliability.soak.disruptions import replay
from tests.reliability.soak.lane_runs import Runs
from tests.reliability.soak.mail_mesh import SERVICE, count, mesh
from tests.reliability.soak.nodes import ProxiedNode
from tests.reliability.soak.settings import Settings
from workmesh_flows.testing import History, record_arrivals, record_state

PAUSE = 0.1
"""Seconds between two cycles."""


def settle(
    runs: Runs, nodes: Sequence[ProxiedNode], settings: Settings, update: Callable[[], None]
) -> list[str]:
    """Push and pull until nothing is left; returns a sentence for each problem at the end of the time."""
    for node in nodes:
        node.proxy.policy = None
        node.proxy.start()
        node.process.start()
    end = time.monotonic() + settings.settle_seconds
    while left := count(runs.engine, "open"):
        if time.monotonic() > end:
            return [
                f"{left} records were not pushed and pulled within {settings.settle_seconds:g} s after the faults"
            ]
        replay(runs.engine)
        for lane in runs.lanes("final phase"):
            runs.run(lane)
        update()
        time.sleep(PAUSE)
    wrong = count(runs.engine, "score")
    return [f"{wrong} records have the result of another record"] if wrong else []


def record_end(history: History, engine: Engine, nodes: Sequence[ProxiedNode]) -> None:
    """Record the arrivals at the nodes and the state of every record."""
    for node in nodes:
        node.proxy.close()
        record_arrivals(history, node.process.name, node.process.database, service=SERVICE)
    record_state(history, engine, mesh)
