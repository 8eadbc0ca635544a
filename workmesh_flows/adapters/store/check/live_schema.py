"""What the database says of its tables: columns, keys, indexes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Inspector, MetaData, Table, inspect, text
from sqlalchemy.engine.interfaces import ReflectedColumn, ReflectedIndex
from sqlalchemy.exc import SAWarning

from workmesh_flows.adapters.store.check.ddl import Writer

_EXTRA = text(
    "SELECT c.relkind AS kind, array(SELECT i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
    " WHERE x.indrelid = c.oid AND NOT x.indisvalid) AS invalid FROM pg_class c WHERE c.oid = to_regclass(:name)"
)
_PLAIN, _PARTITIONED = "r", "p"


@dataclass(frozen=True, slots=True)
class FoundIndex:
    """An index or a key. ``columns`` has None for an expression; ``where`` is the condition of a partial one."""

    name: str | None
    columns: tuple[str | None, ...]
    included: frozenset[str] = frozenset()
    unique: bool = False
    where: str | None = None
    ordered: bool = True
    """Whether it can be read in the order of its columns: a B-tree, all of them in one direction."""
    valid: bool = True


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table as it is in the database; a view has ``plain`` false, and nothing is known of its keys."""

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
    """Reads a table once. ``folds`` says that the database does not tell upper from lower case in names."""

    def __init__(self, connection: Connection) -> None:
        """Read by this connection."""
        self._connection = connection
        self._inspector: Inspector = inspect(connection)
        self._found: dict[tuple[str | None, str], FoundTable | None] = {}
        self.dialect = connection.dialect
        self.folds = connection.dialect.name == "sqlite"
        schemas = connection.get_execution_options().get("schema_translate_map")
        self._schemas: Mapping[str | None, str | None] = schemas or {}
        self.write = Writer(self.dialect.name, self.place)

    def place(self, table: Table) -> Table:
        """An empty table of the same name in the schema where the engine has it."""
        return Table(table.name, MetaData(), schema=self._schemas.get(table.schema, table.schema))

    def name(self, name: str) -> str:
        """A name as it compares here."""
        return name.lower() if self.folds else str(name)

    def table(self, table: Table) -> FoundTable | None:
        """What is there under the table's name, None where nothing is."""
        place = self.place(table)
        at = (place.schema, place.name)
        if at not in self._found:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)  # types and expressions that it does not know
                there = self._inspector.has_table(place.name, place.schema)
                self._found[at] = self._read(place) if there else None
        return self._found[at]

    def lookalike(self, table: Table) -> str | None:
        """A table or column's owner whose name differs in case alone."""
        place = self.place(table)
        names = self._inspector.get_table_names(place.schema)
        return next((name for name in names if name.lower() == place.name.lower()), None)

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
        """What kind of a table it is, as PostgreSQL calls it, and its indexes that are of no use."""
        if self.dialect.name == "postgresql":
            row = self._connection.execute(_EXTRA, {"name": self.write.table(table)}).one()
            kind = row.kind.decode() if isinstance(row.kind, bytes) else row.kind
            return kind, frozenset(row.invalid)
        is_view = table.name in self._inspector.get_view_names(table.schema)
        return "v" if is_view else _PLAIN, frozenset()
