"""Checks of keys and indexes: unique keys, and the indexes that the statements need."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Table

from workmesh_flows.adapters.store.check.column_checks import where
from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.check.live_schema import FoundIndex, FoundTable, LiveSchema
from workmesh_flows.adapters.store.check.required_columns import RequiredColumn, hops
from workmesh_flows.adapters.store.check.required_indexes import LONGEST_NAME, RequiredIndex
from workmesh_flows.domain.protocol import Protocol


def index_findings(
    catalogue: LiveSchema,
    wanted: Iterable[RequiredIndex],
    coming: Collection[Column[Any]],
    every: Collection[RequiredIndex] = (),
) -> Iterator[Finding]:
    """Findings for required indexes without an equivalent. ``coming`` are missing columns that other findings add.

    An index that another one of ``every``, those of the whole mesh, covers is not proposed beside it.
    """
    for index in wanted:
        if any(other.covers(index) for other in every):
            continue
        found = catalogue.table(index.table)
        if found is None or not found.plain or not _has_columns(catalogue, found, index, coming):
            continue
        fit = [there for there in found.indexes if _leads(catalogue, there, index)]
        serving = [there for there in fit if _narrows(catalogue, there, index)]
        if any(there.valid for there in serving):
            continue
        yield _missing(catalogue, found, index, fit, [there for there in serving if not there.valid])


def key_findings(catalogue: LiveSchema, demands: Iterable[RequiredColumn]) -> Iterator[Finding]:
    """Findings for keys without a unique constraint."""
    for demand in demands:
        table = demand.column.table
        assert isinstance(table, Table)  # noqa: S101 - a mapped class has one table
        yield from _unique_findings(catalogue, table, [demand.column], f"the {demand.title}")


def path_key_findings(catalogue: LiveSchema, protocol: Protocol) -> Iterator[Finding]:
    """Findings for joins by which a record may match several rows."""
    for hop in hops(protocol):
        columns = [after for _, after in hop.pairs]
        yield from _unique_findings(catalogue, hop.table, columns, "the key that records are joined to")


def _unique_findings(
    catalogue: LiveSchema, table: Table, columns: list[Column[Any]], title: str
) -> Iterator[Finding]:
    found = catalogue.table(table)
    names = {catalogue.name(column.name) for column in columns}
    if found is None or not found.plain or not names <= set(found.columns) or found.is_unique(names):
        return
    if not catalogue.is_unchecked("unique", *columns):
        return
    what = f"{title} is neither the primary key nor unique: two rows may share it"
    wanted = RequiredIndex(table, "unique", "", tuple(columns))
    create = catalogue.write.create_index(
        table,
        wanted.name,
        [column.name for column in columns],
        unique=True,
        locking=found.partitioned,
    )
    to_do = "remove duplicates, then create the index"
    yield Finding(Level.PROBLEM, where(columns[0]), what, to_do, (create,))


def _has_columns(
    catalogue: LiveSchema, found: FoundTable, index: RequiredIndex, coming: Collection[Column[Any]]
) -> bool:
    columns = [*index.all_columns, *(column for column, _ in index.where)]
    return all(catalogue.name(column.name) in found.columns or column in coming for column in columns)


def _leads(catalogue: LiveSchema, there: FoundIndex, index: RequiredIndex) -> bool:
    """Whether an existing index starts with the required columns and covers the others."""
    names = [catalogue.name(column.name) for column in index.columns]
    leading = there.columns[: len(names)]
    right = list(leading) == names if index.sorted else set(leading) == set(names)
    covered = {catalogue.name(column.name) for column in index.covered}
    return right and there.ordered and covered <= there.included | set(there.columns)


def _narrows(catalogue: LiveSchema, there: FoundIndex, index: RequiredIndex) -> bool:
    """Whether an existing index contains all rows that the statements read, and few others."""
    if there.where is None:
        return not index.where
    wanted = {_plain(catalogue.write.condition(condition)) for condition in index.conditions}
    there_too = {_plain(part) for part in there.where.replace(" and ", " AND ").split(" AND ")}
    return there_too <= wanted


def _plain(condition: str) -> str:
    """A condition in a form in which different spellings of it are equal."""
    return " ".join(condition.translate(str.maketrans("", "", '()"`[]')).casefold().split())


def _missing(
    catalogue: LiveSchema,
    found: FoundTable,
    index: RequiredIndex,
    fit: list[FoundIndex],
    broken: list[FoundIndex],
) -> Finding:
    columns = [str(column.name) for column in index.all_columns]
    create = catalogue.write.create_index(
        index.table, index.name, columns, index.conditions, locking=found.partitioned
    )
    condition = " AND ".join(catalogue.write.condition(part) for part in index.conditions)
    wanted = f"({', '.join(columns)})" + (f" where {condition}" if condition else "")
    what, drops = f"no index {wanted}: {index.why}", tuple[str, ...]()
    if broken:
        names = [there.name for there in broken if there.name is not None]
        what = f"the index {', '.join(names)} is not valid: it is still being built, or building it failed; {index.why}"
        drops = tuple(catalogue.write.drop_index(index.table, name) for name in names)
    elif fit and index.where:
        names = [there.name or "of the key" for there in fit]
        what = (
            f"the index {', '.join(names)} contains all records, and is searched for the few required ones: "
            f"{index.why}"
        )
    assert len(index.name) <= LONGEST_NAME  # noqa: S101 - PostgreSQL would cut a longer one, and names could clash
    return Finding(Level.ADVICE, index.table.fullname, what, "create the index", (*drops, create))
