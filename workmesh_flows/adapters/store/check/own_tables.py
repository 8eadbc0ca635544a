"""Our own tables, and columns or indexes that an older version did not make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, MetaData, Table

from workmesh_flows.adapters.store.check.column_checks import where
from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.check.live_schema import LiveSchema
from workmesh_flows.adapters.store.schema import own


def own_findings(catalogue: LiveSchema) -> Iterator[Finding]:
    """What of our own tables is missing."""
    for table in own.sorted_tables:
        found = catalogue.table(table)
        if found is None:
            what = "this table of ours is not there yet: it is created on first use"
            to_do = "create it beforehand where runs may not create tables"
            yield Finding(Level.ADVICE, table.name, what, to_do, catalogue.write.create_table(table))
            continue
        for column in table.columns:
            if catalogue.name(column.name) not in found.columns:
                yield _missing(catalogue, column)
        yield from _index_findings(catalogue, table)


def _missing(catalogue: LiveSchema, column: Column[Any]) -> Finding:
    what = "this column of ours is missing: the table was made by another version"
    if column.primary_key:
        to_do = "move the table's rows to a new one; no statement adds a column to a key that has rows"
        return Finding(Level.PROBLEM, where(column), what, to_do)
    return Finding(Level.PROBLEM, where(column), what, "add it", (_added(catalogue, column),))


def _added(catalogue: LiveSchema, column: Column[Any]) -> str:
    """Rows are there already, so a column that may not be null needs a value for them: the one it is born with."""
    if column.nullable or column.server_default is not None:
        return catalogue.write.add_column(column)
    born = getattr(column.default, "arg", None)
    if isinstance(born, int | str):
        return catalogue.write.add_column(column, default=born)
    loose: Column[Any] = Column(column.name, column.type)
    Table(column.table.name, MetaData(), loose, schema=column.table.schema)
    return catalogue.write.add_column(loose)


def _index_findings(catalogue: LiveSchema, table: Table) -> Iterator[Finding]:
    found = catalogue.table(table)
    assert found is not None  # noqa: S101 - it was looked at before
    names = {index.name for index in found.indexes}
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in names:
            create = catalogue.write.create_own_index(index)
            what = f"the index {index.name} of ours is missing"
            yield Finding(Level.ADVICE, table.name, what, "create the index", (create,))
