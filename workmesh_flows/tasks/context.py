"""Who works: the parties of a hand-over, by the settings, and the name that others find on a lane that is held."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from prefect.runtime import flow_run

from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import current_inventory, load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.progress import LaneProgress
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.settings import read_settings


def this_process() -> str:
    """Machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


@contextmanager
def move_context(mesh: Mesh, service: str, *, holder: str) -> Iterator[MoveContext]:
    """Entities of a service on the move; the database is closed at the end."""
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


def this_run() -> str:
    """As those see it who find a lane held by it."""
    return f"{flow_run.name or 'a run'} on {this_process()}"


@contextmanager
def lane_context(  # noqa: PLR0913 - each is a fact of the lane's work
    mesh: Mesh, service: str, protocol: str, node: str, verb: str, *, now: bool
) -> Iterator[LaneContext]:
    """Everything a lane needs, opened here and closed at the end."""
    declared = mesh.service(service)
    with mesh_engine(mesh) as engine, closing(LaneProgress(f"{protocol}, node {node}", verb)) as progress:
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
