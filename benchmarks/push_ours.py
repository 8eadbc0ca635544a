"""The push of one lane by Workmesh, as a flow's task calls it."""

from __future__ import annotations

from sqlalchemy import Engine

from benchmarks.world import service
from workmesh_flows.domain.node import Node
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.delivery.push import push_lane


def run(engine: Engine, node: Node, records: int, batch_size: int | None) -> int:
    """Push the lane; return the number of records sent."""
    declared = service(batch_size)
    work = LaneContext(engine, declared, declared.protocol("record"), node, holder="bench")
    return push_lane(work, RunLimits(records)).pushed
