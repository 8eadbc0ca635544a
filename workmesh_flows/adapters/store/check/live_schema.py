"""The tables that exist in the database: columns, keys, indexes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Inspector, MetaData, Table, inspect, text
from sqlalchemy.engine.interfaces import ReflectedColumn, ReflectedIndex
from sqlalchemy.exc import SAWarning

from workmesh_flows.adapters.store.check.ddl import Writer

_EXTRA = text(
    "SELECT c.relkind AS kind, array(SELECT i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
    " WHERE x.indrelid = c.oid AND NOT x.indisvalid) AS invalid FROM pg_class c WHERE c.oid = to_regclass(:name)"
)
_PLAIN, _PARTITIONED = "r", "p"
_TRIGGERS = text(
    "SELECT t.tgname AS name, array(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.tgrelid"
    " AND a.attnum = ANY (t.tgattr)) AS columns FROM pg_trigger t WHERE t.tgrelid = to_regclass(:name)"
    " AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 16 <> 0 ORDER BY t.tgname"
)
"""Enabled triggers on UPDATE, and the columns that they are limited to."""
_SQLITE_TRIGGERS = text(
    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(:name) ORDER BY name"
)
_SQLITE_UPDATE = re.compile(r"\bUPDATE(?:\s+OF\s+(?P<columns>.+?))?\s+ON\b", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class FoundIndex:
    """An index or a key. ``columns`` has None for an expression; ``where`` is the condition of a partial index."""

    name: str | None
    columns: tuple[str | None, ...]
    included: frozenset[str] = frozenset()
    unique: bool = False
    where: str | None = None
    ordered: bool = True
    """Whether it can be read in the order of its columns: a B-tree with all columns in one direction."""
    valid: bool = True


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table in the database; for a view ``plain`` is false and its keys are unknown."""

    columns: Mapping[str, ReflectedColumn]
    indexes: tuple[FoundIndex, ...]
    key: frozenset[str]
    plain: bool = True
    partitioned: bool = False

    def is_unique(self, names: set[str]) -> bool:
        """Whether no two rows can share the values of these columns."""
        return any(
            index.unique and index.valid and index.where is None and set(index.columns) <= names
            for index in self.indexes
        )


class LiveSchema:
    """Reads and caches tables. ``folds`` is true if the database ignores the case of names."""

    def __init__(self, connection: Connection) -> None:
        """Read through this connection."""
        self._connection = connection
        self._inspector: Inspector = inspect(connection)
        self._found: dict[tuple[str | None, str], FoundTable | None] = {}
        self.dialect = connection.dialect
        self.folds = connection.dialect.name == "sqlite"
        schemas = connection.get_execution_options().get("schema_translate_map")
        self._schemas: Mapping[str | None, str | None] = schemas or {}
        self.write = Writer(self.dialect.name, self.place)
        self._checked: set[tuple[str, frozenset[Column[Any]]]] = set()

    def place(self, table: Table) -> Table:
        """An empty table of the same name, in the schema to which the engine maps it."""
        return Table(table.name, MetaData(), schema=self._schemas.get(table.schema, table.schema))

    def is_unchecked(self, check: str, *columns: Column[Any]) -> bool:
        """Whether these columns were not checked before: a column may have several roles, in several protocols."""
        key = (check, frozenset(columns))
        is_new = key not in self._checked
        self._checked.add(key)
        return is_new

    def name(self, name: str) -> str:
        """A name in the form in which names are compared."""
        return name.lower() if self.folds else str(name)

    def table(self, table: Table) -> FoundTable | None:
        """The existing table of this name; None if there is none."""
        place = self.place(table)
        at = (place.schema, place.name)
        if at not in self._found:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)  # about unknown types and expressions
                there = self._inspector.has_table(place.name, place.schema)
                self._found[at] = self._read(place) if there else None
        return self._found[at]

    def missing_schema(self, table: Table) -> str | None:
        """The schema of this table if it does not exist."""
        schema = self.place(table).schema
        return None if schema is None or self._inspector.has_schema(schema) else schema

    def lookalike(self, table: Table) -> str | None:
        """The name of a table that differs from this one's only in case."""
        place = self.place(table)
        names = self._inspector.get_table_names(place.schema)
        return next((name for name in names if name.lower() == place.name.lower()), None)

    def update_triggers(self, table: Table) -> Iterator[tuple[str, Collection[str]]]:
        """The names of a table's triggers on UPDATE, with the columns that they are limited to."""
        if self.dialect.name == "postgresql":
            for row in self._connection.execute(_TRIGGERS, {"name": self.write.table(table)}):
                yield row.name, frozenset(row.columns)
            return
        for name, sql in self._connection.execute(_SQLITE_TRIGGERS, {"name": table.name}):
            if update := _SQLITE_UPDATE.search(re.split(r"\bBEGIN\b", sql, flags=re.IGNORECASE)[0]):
                columns = (update["columns"] or "").split(",")
                yield name, {self.name(column.strip(' \n\t"`[]')) for column in columns if column.strip()}

    def _read(self, table: Table) -> FoundTable:
        at = (table.name, table.schema)
        columns = {self.name(column["name"]): column for column in self._inspector.get_columns(*at)}
        kind, invalid = self._extra(table)
        if kind not in {_PLAIN, _PARTITIONED}:
            return FoundTable(columns, (), frozenset(), plain=False)
        key = self._inspector.get_pk_constraint(*at)["constrained_columns"]
        indexes = [FoundIndex(None, tuple(map(self.name, key)), unique=True)] if key else []
        for constraint in self._inspector.get_unique_constraints(*at):
            names = tuple(map(self.name, constraint["column_names"]))
            indexes.append(FoundIndex(constraint["name"], names, unique=True))
        indexes += [self._index(index, invalid) for index in self._inspector.get_indexes(*at)]
        return FoundTable(
            columns, tuple(indexes), frozenset(map(self.name, key)), partitioned=kind == _PARTITIONED
        )

    def _index(self, index: ReflectedIndex, invalid: frozenset[str]) -> FoundIndex:
        options: Mapping[str, Any] = index.get("dialect_options", {})
        where = options.get(f"{self.dialect.name}_where")
        directions = set(index.get("column_sorting", {}).values())
        names = index["column_names"]
        sorted_names = len(index.get("column_sorting", {}))
        return FoundIndex(
            index["name"],
            tuple(name if name is None else self.name(name) for name in names),
            frozenset(map(self.name, options.get("postgresql_include", ()))),
            unique=bool(index["unique"]),
            where=None if where is None else str(where),
            ordered=options.get("postgresql_using", "btree") == "btree"
            and (not directions or (len(directions) == 1 and sorted_names == len(names))),
            valid=index["name"] not in invalid,
        )

    def _extra(self, table: Table) -> tuple[str, frozenset[str]]:
        """The kind of the table in PostgreSQL's letters, and the names of its invalid indexes."""
        if self.dialect.name == "postgresql":
            row = self._connection.execute(_EXTRA, {"name": self.write.table(table)}).one()
            kind = row.kind.decode() if isinstance(row.kind, bytes) else row.kind
            return kind, frozenset(row.invalid)
        is_view = table.name in self._inspector.get_view_names(table.schema)
        return "v" if is_view else _PLAIN, frozenset()
