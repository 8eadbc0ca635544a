"""The database of a mesh: its address, and a context manager that opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Engine

from workmesh_flows.adapters.store.engine import make_engine, open_engine
from workmesh_flows.adapters.store.schema import place_own_tables
from workmesh_flows.domain.service import Database, Mesh
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.settings import PREFIX, read_settings

CONNECTOR = "sqlalchemy-connector"
"""Slug of the block type of prefect-sqlalchemy."""


@contextmanager
def mesh_engine(mesh: Mesh) -> Iterator[Engine]:
    """Open the database of a mesh and close it at the end; an engine that the mesh provides stays open."""
    place_own_tables(read_settings().tables_schema)
    engine = open_engine(database_of(mesh))
    try:
        yield engine
    finally:
        if not callable(mesh.database):
            engine.dispose()


@contextmanager
def unprepared_engine(mesh: Mesh) -> Iterator[Engine]:
    """The mesh's database as `mesh_engine` gives it, but without creating the Workmesh tables."""
    place_own_tables(read_settings().tables_schema)
    engine = make_engine(database_of(mesh))
    try:
        yield engine
    finally:
        if not callable(mesh.database):
            engine.dispose()


def database_of(mesh: Mesh) -> Database:
    """The database that a mesh or the settings declare; raises ConfigurationError for none or two settings."""
    if mesh.database is not None:
        return mesh.database
    settings = read_settings()
    url, block = settings.database_url, settings.database_block
    if url is not None and block is not None:
        raise ConfigurationError(
            f"{PREFIX}DATABASE_URL and {PREFIX}DATABASE_BLOCK are both set: remove one of them"
        )
    if url is not None:
        return url.get_secret_value()
    if block is not None:
        return partial(_engine_of, block)
    raise ConfigurationError(
        f"no database is set: pass Mesh(..., database=...), set {PREFIX}DATABASE_URL to an address like "
        f"postgresql+psycopg://user:password@host/name, or {PREFIX}DATABASE_BLOCK to the name of a SQLAlchemy "
        "Connector block"
    )


def _engine_of(block: str) -> Engine:
    """An engine with Workmesh's options and the address of a connector block."""
    from prefect.blocks.core import Block  # late: commands that use only the database start faster without it

    try:
        import prefect_sqlalchemy  # noqa: F401 - registers the block type
    except ImportError:
        raise ConfigurationError(
            f"{PREFIX}DATABASE_BLOCK needs prefect-sqlalchemy: pip install 'workmesh-flows[sqlalchemy]'"
        ) from None
    try:
        connector: Any = Block.load(f"{CONNECTOR}/{block}")
    except (ValueError, RuntimeError) as error:
        # Neither chained nor with the text of the error: it may contain the address with its password.
        missing = "Unable to find" in str(error)
        why = (
            "does not exist"
            if missing
            else "cannot be used: its address must have a driver that is not async"
        )
        raise ConfigurationError(
            f"{PREFIX}DATABASE_BLOCK: SQLAlchemy Connector block {block!r} {why}"
        ) from None
    info = connector.connection_info
    url = info.create_url() if hasattr(info, "create_url") else str(info)
    return make_engine(url, connector.connect_args or {})
