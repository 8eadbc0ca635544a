"""A run of a mesh in a test, without a Prefect server: assign, push and pull until all work is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.domain.service import Database, Mesh, Service
from workmesh_flows.operations.assignment.assign import assign_all
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.status import assigned_nodes, read_status
from workmesh_flows.testing.lane_run import HOLDER, opened

PAUSE = 0.1
"""Seconds between two cycles, in which a node processes records."""


@dataclass(frozen=True, slots=True)
class MeshRun:
    """The result of `run_mesh`: entities ``assigned``, records ``pushed`` and ``pulled``, and unfinished records.

    ``pending`` records were refused, or wait behind a refused one; their node could not process ``failed`` ones.
    """

    assigned: int
    pushed: int
    pulled: int
    pending: int
    failed: int


def run_mesh(
    mesh: Mesh,
    nodes: Sequence[Node],
    *,
    database: Database | None = None,
    seconds: float = 30.0,
    limits: Limits | None = None,
) -> MeshRun:
    """Assign, then push and pull in cycles, as a schedule would, until a cycle changes nothing.

    ``nodes`` are the inventory, as `inventory_node` returns them; ``database`` replaces the mesh's own. Raises
    LaneStopped when a lane stops, TimeoutError when results are still missing after ``seconds``, and
    ConfigurationError when neither the mesh nor ``database`` names a database.
    """
    inventory = Inventory({node.name: node for node in nodes})
    end = time.monotonic() + seconds
    with opened(mesh, database) as engine:
        assigned = sum(report.total for report in assign_all(engine, mesh, inventory).values())
        pushed = pulled = 0
        while True:
            before = pushed + pulled
            lanes = [
                context
                for service in mesh.services
                for context in _lanes(engine, service, inventory, limits or Limits())
            ]
            pushed += sum(push_lane(lane).pushed for lane in lanes if lane.protocol.push is not None)
            pulled += sum(pull_lane(lane).pulled for lane in lanes if lane.protocol.pull is not None)
            counts = [
                count for count in read_status(engine, mesh, inventory).counts if count.node is not None
            ]
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
        LaneContext(engine, service, protocol, inventory.node(node), HOLDER, limits)
        for node in assigned_nodes(engine, service)
        for protocol in service.protocols
    ]
