"""A user's table as it is updated, and an INSERT that may update a row that exists."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Alias, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def written_table(table: Table) -> Alias[Any]:
    """The table under another name: an UPDATE of it changes only the columns that it is given.

    SQLAlchemy adds every column with ``onupdate`` to an UPDATE of the table itself. Such columns say when the application
    changed the row, records may be sorted by one, and the database's user may have no right to write them.
    """
    alias = table.alias("workmesh_written")
    assert isinstance(alias, Alias)  # noqa: S101 - only a subquery or a CTE has another alias
    return alias


def insert_into(table: Table, connection: Connection) -> postgresql.Insert | sqlite.Insert:
    """An INSERT of the connection's database, for ``on_conflict_do_update``."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
