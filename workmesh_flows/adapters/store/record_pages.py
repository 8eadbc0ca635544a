"""Pages of records: how their rows are laid out, and how they become records to send or to pull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Column, Enum, Integer, Numeric, Result, Row, Select, String, inspect, select
from sqlalchemy.exc import InvalidRequestError

from workmesh_flows.adapters.store.protocol_tables import ProtocolTables
from workmesh_flows.adapters.store.statements.page_order import Mark, mark
from workmesh_flows.domain.columns import table_of
from workmesh_flows.planning.bisection import Sendable

Page: TypeAlias = Sequence[Sendable]


class RowContent:
    """What is read of a table's rows: columns by name, as a dictionary; or a mapped object where a class is given."""

    def __init__(self, key: Column[Any], what: Mapping[str, Column[Any]] | type[Any]) -> None:
        self.key = key
        self.objects = isinstance(what, type)
        columns = table_of(what).columns if isinstance(what, type) else what.values()
        self.columns: Sequence[Column[Any]] = [*columns]
        self.selected: Sequence[Any] = [what] if isinstance(what, type) else self.columns
        self._without_bytes = [column for column in self.columns if _holds_no_bytes(column)]
        self._names = [] if isinstance(what, type) else [*what]

    def of(self, ids: Sequence[Any]) -> Select[Any]:
        """The statement that reads the rows with these keys: key and content."""
        return select(self.key, *self.selected).where(self.key.in_(ids))

    def rows(self, result: Result[Any], *, begin: int) -> Sequence[Row[Any]]:
        """The rows of a result; an object whose model loads a collection by a join comes in several, and is one.

        Their content stands at position ``begin``. Raises InvalidRequestError for bytes in a column of texts or numbers:
        SQLite holds them in any column, and a push would send them as base64.
        """
        rows = (result.unique() if self.objects else result).all()
        if self._without_bytes:
            for row in rows:
                if bytes in map(type, vars(row[begin]).values() if self.objects else row):
                    self._require_no_bytes(row, begin)
        return rows

    def _require_no_bytes(self, row: Row[Any], begin: int) -> None:
        values = dict(zip(self.columns, row[begin:], strict=False))
        if self.objects:
            attributes = inspect(self.selected[0]).column_attrs
            values = {each.columns[0]: vars(row[begin]).get(each.key) for each in attributes}
        for column in self._without_bytes:
            if type(values.get(column)) is bytes:
                raise InvalidRequestError("the column holds bytes, which its type does not have")

    def record(self, values: Sequence[Any]) -> Any:  # noqa: ANN401 - a dictionary, or a user's object
        """The record of one row's content."""
        return values[0] if self.objects else dict(zip(self._names, values, strict=True))

    def sendables(self, rows: Sequence[Any], owner: int) -> list[Sendable]:
        """The rows of a page as records to send or to pull; ``owner`` is the position of the owner's key."""
        names = self._names
        if self.objects:
            return [Sendable(row[2], row[1], row[owner]) for row in rows]
        return [Sendable(dict(zip(names, row[2:owner], strict=True)), row[1], row[owner]) for row in rows]


def _holds_no_bytes(column: Column[Any]) -> bool:
    """Whether a column has a type of SQLAlchemy for texts or numbers; the type of an enum reads no bytes."""
    plain = isinstance(column.type, String | Integer | Numeric) and not isinstance(column.type, Enum)
    return plain and type(column.type).__module__.startswith("sqlalchemy.")


class RowLayout:
    """The columns of a page's rows: ordering mark, id, the record, its owner, and the record that it depends on.

    With ``payload`` the record is a dictionary of these columns by name, otherwise the mapped object.
    """

    def __init__(
        self, tables: ProtocolTables, *, payload: Mapping[str, Column[Any]] | None, order: Column[Any]
    ) -> None:
        self.tables, self.order = tables, order
        self.content = RowContent(tables.id, tables.protocol.record if payload is None else payload)
        self.columns = [
            mark(order).label("workmesh_order"),
            tables.id.label("workmesh_key"),
            *self.content.selected,
        ]

    def mark(self, row: Any) -> Mark:  # noqa: ANN401 - a result row
        """Where a page ends whose last row this is."""
        return row[0], row[1]

    def sendables(self, rows: Sequence[Any]) -> list[Sendable]:
        """The rows as records to send or to pull."""
        owner = len(self.columns)
        items = self.content.sendables(rows, owner)
        if rows and len(rows[0]) > owner + 1:
            self.set_dependencies(items, rows)
        return items

    def set_dependencies(self, items: Sequence[Sendable], rows: Sequence[Any]) -> None:
        """Set the records that these depend on; the rows end with them."""
        for item, row in zip(items, rows, strict=True):
            item.depends_on = None if row[-1] is True else row[-2]
