"""Masters that pause themselves between two batches; in a module, so that they can be spawned."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from sqlalchemy import NullPool, create_engine

from tests.support.shop import shop_service
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.errors import LaneLost
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane

LEASE = 0.5
BATCH = 5
LOST, FINISHED = 3, 4
"""Exit statuses."""


def push_and_pause(database: str, node: Node) -> None:
    """Push a lane of orders, and stop with SIGSTOP after the first batch is flagged."""
    _run_and_pause(push_lane, database, node)


def pull_and_pause(database: str, node: Node) -> None:
    """Pull a lane of orders, and stop with SIGSTOP after the first batch of results is written."""
    _run_and_pause(pull_lane, database, node)


def _run_and_pause(run_lane: Callable[[LaneContext], object], database: str, node: Node) -> None:
    service, batches = shop_service(batch_size=BATCH), [1]

    def pause(_done: int, _total: int) -> None:
        if batches:
            batches.pop()
            os.kill(os.getpid(), signal.SIGSTOP)

    engine = create_engine(database, poolclass=NullPool)
    limits = Limits(lease_seconds=LEASE)
    try:
        run_lane(LaneContext(engine, service, service.protocols[0], node, "paused", limits, pause))
    except LaneLost:
        sys.exit(LOST)
    sys.exit(FINISHED)
