"""Who works: the parties of a hand-over, by the settings, and the name that others find on a lane that is held."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from workmesh_flows.domain.service import Mesh
from workmesh_flows.engines import mesh_engine
from workmesh_flows.inventory import load_inventory
from workmesh_flows.operations.moves.move_context import Moving
from workmesh_flows.settings import read_settings


def this_process() -> str:
    """Machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


@contextmanager
def moving_entities(mesh: Mesh, service: str, *, holder: str) -> Iterator[Moving]:
    """Entities of a service on the move; the database is closed at the end."""
    settings = read_settings()
    with mesh_engine(mesh) as engine:
        yield Moving(
            engine,
            mesh,
            mesh.service(service),
            load_inventory,
            holder=holder,
            limits=settings.limits,
            settle_seconds=settings.settle_seconds,
            wait_seconds=settings.lane_wait_seconds,
        )
