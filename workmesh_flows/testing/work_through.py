"""A mesh worked to its end in a test: assigned, pushed and pulled, without a Prefect server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.domain.service import Database, Mesh, Service
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.operations.assignment.assign import assign_all
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.status import assigned_nodes, read_status

PAUSE = 0.1
"""Seconds between two rounds: a node needs its time."""


@dataclass(frozen=True, slots=True)
class MeshRun:
    """What was done: entities ``assigned``, records ``pushed`` and ``pulled``, and what is left at the end.

    ``pending`` records were refused, or wait behind one that was; ``failed`` ones could not be processed by their node.
    """

    assigned: int
    pushed: int
    pulled: int
    pending: int
    failed: int


def work_through(
    mesh: Mesh,
    nodes: Sequence[Node],
    *,
    database: Database | None = None,
    seconds: float = 30.0,
    limits: Limits | None = None,
) -> MeshRun:
    """Assign, then push and pull in rounds, as a schedule would, until nothing more comes of it.

    ``nodes`` are the inventory, as `inventory_node` gives them; ``database`` takes the place of the mesh's own. Raises
    LaneStopped where a lane stops, TimeoutError where results are still missing after so many ``seconds``, and
    ConfigurationError where no database is named.
    """
    inventory = Inventory({node.name: node for node in nodes})
    where = mesh.database if database is None else database
    if where is None:
        raise ConfigurationError("the mesh names no database: give work_through(..., database=...)")
    engine = open_engine(where)
    try:
        return _run_result(engine, mesh, inventory, limits or Limits(), time.monotonic() + seconds)
    finally:
        if not callable(where):
            engine.dispose()


def _run_result(engine: Engine, mesh: Mesh, inventory: Inventory, limits: Limits, end: float) -> MeshRun:
    assigned = sum(report.total for report in assign_all(engine, mesh, inventory).values())
    pushed = pulled = 0
    while True:
        before = pushed + pulled
        lanes = [work for service in mesh.services for work in _lanes(engine, service, inventory, limits)]
        pushed += sum(push_lane(work).pushed for work in lanes if work.protocol.push is not None)
        pulled += sum(pull_lane(work).pulled for work in lanes if work.protocol.pull is not None)
        counts = [count for count in read_status(engine, mesh, inventory).counts if count.node is not None]
        failed = sum(count.unprocessed for count in counts)
        missing = sum(count.in_flight for count in counts) - failed
        if not missing and pushed + pulled == before:
            return MeshRun(assigned, pushed, pulled, sum(count.pending for count in counts), failed)
        if time.monotonic() > end:
            raise TimeoutError(
                f"results of {missing} records are still missing; {pushed} were pushed, {pulled} pulled"
            )
        time.sleep(PAUSE)


def _lanes(engine: Engine, service: Service, inventory: Inventory, limits: Limits) -> list[LaneContext]:
    return [
        LaneContext(engine, service, protocol, inventory.node(node), "a test", limits)
        for node in assigned_nodes(engine, service)
        for protocol in service.protocols
    ]
