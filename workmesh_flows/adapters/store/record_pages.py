"""Pages of records: how their rows are laid out, and how they become records to send or to pull."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import Column, Result, Row

from workmesh_flows.adapters.store.protocol_tables import ProtocolTables
from workmesh_flows.adapters.store.statements.page_order import Mark, mark
from workmesh_flows.domain.payload import payload_columns
from workmesh_flows.planning.bisection import Sendable

Page: TypeAlias = Sequence[Sendable]


class RowLayout:
    """The columns of a page's rows: ordering mark, id, the record, its owner, and the record that it depends on.

    With ``rows`` the record is a dictionary of its payload columns by attribute name, otherwise the mapped object.
    """

    def __init__(self, tables: ProtocolTables, *, rows: bool, order: Column[Any]) -> None:
        payload = payload_columns(tables.protocol) if rows else {}
        self._names = [*payload]
        self._rows = rows
        content = [*payload.values()] if rows else [tables.protocol.record]
        self.columns = [mark(order).label("workmesh_order"), tables.id.label("workmesh_key"), *content]

    def rows(self, result: Result[Any]) -> Sequence[Row[Any]]:
        """The rows of a page; an object whose model loads a collection by a join comes in several rows, and is one."""
        return (result if self._rows else result.unique()).all()

    def mark(self, row: Any) -> Mark:  # noqa: ANN401 - a result row
        """Where a page ends whose last row this is."""
        return row[0], row[1]

    def sendables(self, rows: Sequence[Any]) -> list[Sendable]:
        """The rows as records to send or to pull."""
        owner = len(self.columns)
        if not rows:
            return []
        names = self._names
        if self._rows:
            items = [
                Sendable(dict(zip(names, row[2:owner], strict=True)), row[1], row[owner]) for row in rows
            ]
        else:
            items = [Sendable(row[2], row[1], row[owner]) for row in rows]
        if len(rows[0]) > owner + 1:
            for item, row in zip(items, rows, strict=True):
                item.depends_on = None if row[-1] is True else row[-2]
        return items
