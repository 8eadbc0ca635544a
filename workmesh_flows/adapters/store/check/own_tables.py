"""Checks of the Workmesh tables: their version, and tables, columns or indexes that somebody dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, MetaData, Table

from workmesh_flows.adapters.store.check.column_checks import where
from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.check.live_schema import LiveSchema
from workmesh_flows.adapters.store.own_tables import CURRENT, mismatch
from workmesh_flows.adapters.store.schema import own, versions

CREATE = "create it now if runs have no permission to create tables"


def own_findings(catalogue: LiveSchema, version: str | None, *, stored: bool) -> Iterator[Finding]:
    """Findings for Workmesh tables of another version, and for missing tables, columns and indexes.

    ``version`` is that of the tables, None if there are none; ``stored`` is whether the database stores it.
    """
    if version not in {None, CURRENT}:
        yield Finding(Level.PROBLEM, versions.name, *mismatch(version))
        return
    if (schema := catalogue.missing_schema(versions)) is not None:
        create = (catalogue.write.create_schema(schema),)
        yield Finding(
            Level.ADVICE,
            schema,
            "schema of the Workmesh tables missing; created on first run",
            CREATE,
            create,
        )
    for table in own.sorted_tables:
        found = catalogue.table(table)
        if found is None:
            yield _missing_table(catalogue, table, stored=stored)
            continue
        for column in table.columns:
            if catalogue.name(column.name) not in found.columns:
                yield _missing(catalogue, column)
        yield from _index_findings(catalogue, table)


def _missing_table(catalogue: LiveSchema, table: Table, *, stored: bool) -> Finding:
    """A run creates the tables only in a database that stores no version."""
    create = catalogue.write.create_table(table)
    if table is versions:
        create = (*create, catalogue.write.store_version(table, CURRENT))
    if stored:
        return Finding(
            Level.PROBLEM, table.name, "Workmesh table missing: it was dropped", "create it", create
        )
    what = "Workmesh table missing; created on first run"
    return Finding(Level.ADVICE, table.name, what, CREATE, create)


def _missing(catalogue: LiveSchema, column: Column[Any]) -> Finding:
    what = "Workmesh column missing: it was dropped"
    if column.primary_key:
        to_do = (
            "copy the rows to a new table; a column cannot be added to the primary key of a table with rows"
        )
        return Finding(Level.PROBLEM, where(column), what, to_do)
    return Finding(Level.PROBLEM, where(column), what, "add it", (_added(catalogue, column),))


def _added(catalogue: LiveSchema, column: Column[Any]) -> str:
    """Existing rows need a value in a NOT NULL column: its default, or the column is added as nullable."""
    if column.nullable or column.server_default is not None:
        return catalogue.write.add_column(column)
    default = getattr(column.default, "arg", None)
    if isinstance(default, int | str):
        return catalogue.write.add_column(column, default=default)
    nullable: Column[Any] = Column(column.name, column.type)
    Table(column.table.name, MetaData(), nullable, schema=column.table.schema)
    return catalogue.write.add_column(nullable)


def _index_findings(catalogue: LiveSchema, table: Table) -> Iterator[Finding]:
    found = catalogue.table(table)
    assert found is not None  # noqa: S101 - the caller has checked
    names = {index.name for index in found.indexes}
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in names:
            create = catalogue.write.create_own_index(index)
            what = f"Workmesh index {index.name} missing"
            yield Finding(Level.ADVICE, table.name, what, "create the index", (create,))
