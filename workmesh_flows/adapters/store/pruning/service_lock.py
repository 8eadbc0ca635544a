"""The lock of a service: while it is held, no run assigns or moves entities of the service or decides about its records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, update

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.schema import ensure_row, services


@contextmanager
def holding_service(engine: Engine, service: str) -> Iterator[Connection]:
    """A transaction that holds the lock of a service, to look again at rows before they are deleted."""
    with translated_errors():
        ensure_row(engine, services, service=service)
        with engine.begin() as connection:
            # The first statement is a write, which makes other runs wait on both databases.
            row = update(services).where(services.c.service == service)
            connection.execute(row.values(revision=services.c.revision))
            yield connection
