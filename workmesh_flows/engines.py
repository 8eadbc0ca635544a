"""The database of a mesh, opened for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from workmesh_flows.adapters.database import open_engine
from workmesh_flows.domain.service import Mesh
from workmesh_flows.settings import database_of


@contextmanager
def mesh_engine(mesh: Mesh) -> Iterator[Engine]:
    """The mesh's database, closed at the end; an engine that the mesh itself gave is left open."""
    engine = open_engine(database_of(mesh))
    try:
        yield engine
    finally:
        if not callable(mesh.database):
            engine.dispose()
