"""A user's table as it is updated."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Alias, Table


def written_table(table: Table) -> Alias[Any]:
    """The table under another name: an UPDATE of it changes only the columns that it is given.

    SQLAlchemy adds every column with ``onupdate`` to an UPDATE of the table itself. Such columns say when the application
    changed the row, records may be sorted by one, and the database's user may have no right to write them.
    """
    alias = table.alias("workmesh_written")
    assert isinstance(alias, Alias)  # noqa: S101 - only a subquery or a CTE has another alias
    return alias
