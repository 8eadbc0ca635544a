"""What tasks work with: an open database, the node, the settings, and the name under which they hold lanes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from prefect.runtime import flow_run

from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import current_inventory, load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.progress import LaneProgress
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.settings import read_settings
from workmesh_flows.tasks.tracebacks import hide_tracebacks


def this_process() -> str:
    """Host name and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def this_run() -> str:
    """The name that other runs see on a lane that this run holds."""
    return f"{flow_run.name or 'a run'} on {this_process()}"


@contextmanager
def move_context(mesh: Mesh, service: str, *, holder: str) -> Iterator[MoveContext]:
    """The context in which entities of a service move, by the settings; the database is closed at the end."""
    settings = read_settings()
    with mesh_engine(mesh) as engine:
        yield MoveContext(
            engine,
            mesh,
            mesh.service(service),
            load_inventory,
            holder=holder,
            limits=settings.limits,
            settle_seconds=settings.settle_seconds,
            wait_seconds=settings.lane_wait_seconds,
        )


@contextmanager
def lane_context(  # noqa: PLR0913 - each identifies the lane
    mesh: Mesh, service: str, protocol: str, node: str, direction: Direction, *, now: bool
) -> Iterator[LaneContext]:
    """The context in which a task runs a lane, by the settings; database and progress bar are closed at the end."""
    hide_tracebacks()
    declared, lane = mesh.service(service), Lane(service, protocol, node, direction)
    with mesh_engine(mesh) as engine, closing(LaneProgress(lane)) as progress:
        yield LaneContext(
            engine,
            declared,
            declared.protocol(protocol),
            current_inventory().node(node),
            holder=this_run(),
            limits=read_settings().limits,
            progress=progress,
            now=now,
        )
