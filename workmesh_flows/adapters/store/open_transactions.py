"""Transactions that a user's function opens on a page's session, as by reading a relationship of a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session


class OpenTransactions:
    """The transactions of several sessions; `end` ends them, and the sessions' objects stay as they are.

    Call it before a request: a node may take a minute to answer, and a transaction that is open for so long holds locks
    and old rows, and may be ended by the database. A session's own commit or rollback would save or expire its objects.
    """

    def __init__(self) -> None:
        """Watch no session yet."""
        self._connections: list[Connection] = []

    @contextmanager
    def watching(self, session: Session) -> Iterator[None]:
        """Watch a session for the length of a block."""

        def began(session: Session, transaction: Any, connection: Connection) -> None:  # noqa: ANN401 - as the event has it
            del session, transaction
            self._connections = [*(one for one in self._connections if not one.closed), connection]

        event.listen(session, "after_begin", began)
        try:
            yield
        finally:
            event.remove(session, "after_begin", began)

    def end(self) -> None:
        """Roll back the transactions that are open now."""
        for connection in self._connections:
            if not (connection.closed or connection.invalidated):
                _roll_back(connection)


def _roll_back(connection: Connection) -> None:
    """Roll back the driver's transaction. The session's remains: its next statement begins another of the driver."""
    raw = connection.connection
    if connection.dialect.name == "sqlite" and getattr(raw.dbapi_connection, "isolation_level", None) is None:
        return  # the application begins transactions itself: the next statement would begin none, and be saved
    with suppress(connection.dialect.loaded_dbapi.Error):  # a lost connection has no transaction
        raw.rollback()
