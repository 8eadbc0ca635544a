"""The end of a soak: nothing breaks any more, and all work is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from tests.reliability.soak.lanes import Runs
from tests.reliability.soak.nodes import Behind
from tests.reliability.soak.settings import Settings
from tests.reliability.soak.strikes import replay
from tests.reliability.soak.world import SERVICE, count, mesh
from workmesh_flows.testing import History, record_arrivals, record_state

BETWEEN = 0.1


def settle(runs: Runs, nodes: Sequence[Behind], settings: Settings, tell: Callable[[], None]) -> list[str]:
    """Push and pull until nothing is left; what is left when the time is over, in words."""
    for node in nodes:
        node.proxy.policy = None
        node.proxy.start()
        node.process.start()
    end = time.monotonic() + settings.settle_seconds
    while left := count(runs.engine, "open"):
        if time.monotonic() > end:
            return [f"{left} records were not pushed and pulled {settings.settle_seconds:g} s after the end"]
        replay(runs.engine)
        for lane in runs.lanes("the end"):
            runs.run(lane)
        tell()
        time.sleep(BETWEEN)
    wrong = count(runs.engine, "score")
    return [f"{wrong} records have a result that is not theirs"] if wrong else []


def record_end(history: History, engine: Engine, nodes: Sequence[Behind]) -> None:
    """What the nodes have, and how every record stands."""
    for node in nodes:
        node.proxy.close()
        record_arrivals(history, node.process.name, node.process.database, service=SERVICE)
    record_state(history, engine, mesh)
