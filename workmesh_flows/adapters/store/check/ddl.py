"""DDL as text that psql and sqlite3 take: names quoted where they have to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Dialect, Index, MetaData, String, Table, and_, literal
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable
from sqlalchemy.types import TypeEngine


class Writer:
    """Writes statements of one dialect; ``place`` gives a table where the database has it.

    The dialect is one without a driver: that of a driver doubles the percent signs in names. From Python, execute
    the statements as ``text``, which doubles them where that is needed.
    """

    def __init__(self, dialect: str, place: Callable[[Table], Table]) -> None:
        """Write for ``postgresql`` or ``sqlite``."""
        self._postgresql = dialect == "postgresql"
        self._dialect: Dialect = (
            PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]
            if self._postgresql
            else SQLiteDialect(paramstyle="named")
        )
        self._names = self._dialect.identifier_preparer
        self._place = place

    def table(self, table: Table) -> str:
        """A table's name."""
        return self._names.format_table(self._place(table))

    def type(self, type_: TypeEngine[Any]) -> str:
        """A type, as in CREATE TABLE."""
        return type_.compile(dialect=self._dialect)

    def condition(self, condition: ColumnElement[bool]) -> str:
        """A condition on columns, their tables left out."""
        return self._spelled(condition)

    def add_column(self, column: Column[Any], default: int | str | None = None) -> str:
        """A column that is missing; with a default, for the rows that are there."""
        spelled = str(CreateColumn(column).compile(dialect=self._dialect)).strip()
        born = "" if default is None else f" DEFAULT {self._spelled(literal(default))}"
        return f"ALTER TABLE {self.table(column.table)} ADD COLUMN {spelled}{born}"

    def alter_column(self, column: Column[Any], change: str) -> tuple[str, ...]:
        """A change of a column; SQLite has no statement for one."""
        if not self._postgresql:
            return ()
        name = self._names.format_column(column)
        return (f"ALTER TABLE {self.table(column.table)} ALTER COLUMN {name} {change}",)

    def create_table(self, table: Table) -> tuple[str, ...]:
        """A table of ours and its indexes."""
        made = CreateTable(table, if_not_exists=True).compile(dialect=self._dialect)
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        return (" ".join(str(made).split()), *map(self.create_own_index, indexes))

    def create_own_index(self, index: Index) -> str:
        """An index of a table of ours, as it is declared."""
        return str(CreateIndex(index, if_not_exists=True).compile(dialect=self._dialect))

    def create_index(  # noqa: PLR0913 - each is one part of the statement
        self,
        table: Table,
        name: str,
        columns: Sequence[str],
        where: Sequence[ColumnElement[bool]] = (),
        *,
        unique: bool = False,
        locking: bool = False,
    ) -> str:
        """An index; on PostgreSQL without locking out writers, unless the table allows no other way."""
        place = self._place(table)
        bare = Table(
            place.name, MetaData(), *(Column(column, String) for column in columns), schema=place.schema
        )
        condition = and_(*where) if where else None
        index = Index(
            name,
            *(bare.c[column] for column in columns),
            unique=unique,
            postgresql_where=condition,
            sqlite_where=condition,
            postgresql_concurrently=not locking,
        )
        return str(CreateIndex(index, if_not_exists=True).compile(dialect=self._dialect))

    def drop_index(self, table: Table, name: str) -> str:
        """An index that PostgreSQL could not finish."""
        schema = self._place(table).schema
        place = "" if schema is None else f"{self._names.quote_schema(schema)}."
        return f"DROP INDEX CONCURRENTLY IF EXISTS {place}{self._names.quote(name)}"

    def _spelled(self, expression: ColumnElement[Any]) -> str:
        return str(expression.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))
