"""DDL as text for psql and sqlite3, with names quoted where necessary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ClauseElement,
    Column,
    ColumnElement,
    Dialect,
    Index,
    MetaData,
    String,
    Table,
    and_,
    exists,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable
from sqlalchemy.types import TypeEngine


class Writer:
    """Writes statements for one dialect; ``place`` maps a table to its schema in the database.

    It uses dialects without a driver, because those of drivers double percent signs in names. To execute a statement
    from Python wrap it in ``text``, which doubles them if necessary.
    """

    def __init__(self, dialect: str, place: Callable[[Table], Table]) -> None:
        """``dialect`` is ``postgresql`` or ``sqlite``."""
        self._postgresql = dialect == "postgresql"
        self._dialect: Dialect = (
            PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]
            if self._postgresql
            else SQLiteDialect(paramstyle="named")
        )
        self._names = self._dialect.identifier_preparer
        self._place = place

    def table(self, table: Table) -> str:
        """The name of a table, quoted if necessary."""
        return self._names.format_table(self._place(table))

    def type(self, type_: TypeEngine[Any]) -> str:
        """A type as in CREATE TABLE."""
        return type_.compile(dialect=self._dialect)

    def condition(self, condition: ColumnElement[bool]) -> str:
        """A condition on columns, without the names of their tables."""
        return self._literal(condition)

    def add_column(self, column: Column[Any], default: int | str | None = None) -> str:
        """Add a column; existing rows get ``default``."""
        definition = str(CreateColumn(column).compile(dialect=self._dialect)).strip()
        clause = "" if default is None else f" DEFAULT {self._literal(literal(default))}"
        return f"ALTER TABLE {self.table(column.table)} ADD COLUMN {definition}{clause}"

    def alter_column(self, column: Column[Any], change: str) -> tuple[str, ...]:
        """Change a column; empty for SQLite, which cannot change columns."""
        if not self._postgresql:
            return ()
        name = self._names.format_column(column)
        return (f"ALTER TABLE {self.table(column.table)} ALTER COLUMN {name} {change}",)

    def create_table(self, table: Table) -> tuple[str, ...]:
        """Create a Workmesh table and its indexes."""
        create = CreateTable(table, if_not_exists=True).compile(dialect=self._dialect)
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        return (" ".join(str(create).split()), *map(self.create_own_index, indexes))

    def create_schema(self, schema: str) -> str:
        """Create the schema of the Workmesh tables."""
        return f"CREATE SCHEMA IF NOT EXISTS {self._names.quote_schema(schema)}"

    def store_version(self, table: Table, version: str) -> str:
        """Store the version of the Workmesh tables, unless one is stored."""
        stored = select(literal(version)).where(~exists().select_from(table))
        return " ".join(self._literal(insert(table).from_select(table.columns.keys(), stored)).split())

    def create_own_index(self, index: Index) -> str:
        """Create a declared index of a Workmesh table."""
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
        """Create an index; on PostgreSQL concurrently, so that writers are not blocked, unless ``locking``."""
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
        """Drop an index that PostgreSQL failed to build."""
        schema = self._place(table).schema
        place = "" if schema is None else f"{self._names.quote_schema(schema)}."
        return f"DROP INDEX CONCURRENTLY IF EXISTS {place}{self._names.quote(name)}"

    def _literal(self, expression: ClauseElement) -> str:
        return str(expression.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))
