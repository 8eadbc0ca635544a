"""Checks of tables and columns against a declaration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, DateTime, Table
from sqlalchemy.engine.interfaces import ReflectedColumn

from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.check.live_schema import FoundTable, LiveSchema
from workmesh_flows.adapters.store.check.required_columns import RequiredColumn
from workmesh_flows.adapters.store.check.type_kinds import differ, found_type, stored_type, type_name
from workmesh_flows.domain.answers import LONGEST_TEXT
from workmesh_flows.domain.checks.flags import MICROSECONDS

NAME_LENGTH = 50
"""Recommended length of an assignment column if the names of the nodes are not known."""
ERROR_LENGTH = 200
"""Recommended length of an error column: in a shorter one, reasons are often cut."""


def table_findings(
    catalogue: LiveSchema, table: Table, demands: Sequence[RequiredColumn]
) -> Iterator[Finding]:
    """Findings for a missing table, or for missing columns of an existing one."""
    found = catalogue.table(table)
    if found is None:
        alike = catalogue.lookalike(table)
        hint = f"; a table {alike} exists, but names are case-sensitive" if alike else ""
        yield Finding(
            Level.PROBLEM, table.fullname, f"the table is missing{hint}", "create it with your migrations"
        )
        return
    required = {demand.column: demand for demand in demands}
    for column in table.columns:
        if not column.system and catalogue.name(column.name) not in found.columns:
            yield _missing(catalogue, found, column, required.get(column))


def column_findings(
    catalogue: LiveSchema, demands: Iterable[RequiredColumn], nodes: Collection[str] | None
) -> Iterator[Finding]:
    """Findings for types, lengths, nullability and defaults of existing columns."""
    for demand in demands:
        found = catalogue.table(_table(demand))
        there = None if found is None else found.columns.get(catalogue.name(demand.column.name))
        if found is None or there is None:
            continue
        if catalogue.is_unchecked("type", demand.column):
            yield from _type_findings(catalogue, demand, there)
        if catalogue.dialect.name == "postgresql":  # SQLite does not enforce lengths
            yield from _length_findings(catalogue, demand, there, nodes)
        if found.plain and demand.way:
            yield from _flag_findings(catalogue, demand, there)


def where(column: Column[Any]) -> str:
    """The column as findings name it: ``table.column``."""
    return f"{column.table}.{column.name}"


def _missing(
    catalogue: LiveSchema, found: FoundTable, column: Column[Any], demand: RequiredColumn | None
) -> Finding:
    alike = next((name for name in found.columns if name.lower() == column.name.lower()), None)
    hint = f"; a column {alike} exists, but names are case-sensitive" if alike else ""
    title = f" ({demand.title})" if demand else ""
    if demand is None or not demand.added or alike or not found.plain:
        ddl: tuple[str, ...] = ()
        to_do = "create it with your migrations, or correct its name in the declaration"
    else:
        ddl, to_do = (catalogue.write.add_column(column),), "add it"
    return Finding(Level.PROBLEM, where(column), f"the column is missing{title}{hint}", to_do, ddl)


def _type_findings(
    catalogue: LiveSchema, demand: RequiredColumn, there: ReflectedColumn
) -> Iterator[Finding]:
    dialect = catalogue.dialect
    declared, found = stored_type(demand.column.type, dialect), found_type(there)
    at, names = where(demand.column), (type_name(found, dialect), type_name(demand.column.type, dialect))
    if differ(declared, found, dialect):
        what = f"the {demand.title} column is {names[0]}, declared as {names[1]}"
        yield Finding(Level.PROBLEM, at, what, "make the declaration and the column agree")
    elif isinstance(declared, DateTime) and isinstance(found, DateTime) and dialect.name == "postgresql":
        if declared.timezone != found.timezone:
            level = Level.PROBLEM if demand.role == "time" else Level.ADVICE
            what = (
                f"the {demand.title} column is {names[0]}, declared as {names[1]}: times shift by the session's "
                "UTC offset"
            )
            yield Finding(level, at, what, "declare DateTime(timezone=...) to match the column")
        precision = getattr(found, "precision", None)
        if demand.role == "time" and precision is not None and precision < MICROSECONDS:
            what = f"the {demand.title} column is {names[0]}: the order of records needs microseconds"
            kind = catalogue.write.type(declared)
            change = catalogue.write.alter_column(demand.column, f"TYPE {kind}")
            yield Finding(Level.PROBLEM, at, what, f"make it {kind}", change)


def _length_findings(
    catalogue: LiveSchema, demand: RequiredColumn, there: ReflectedColumn, nodes: Collection[str] | None
) -> Iterator[Finding]:
    length = getattr(found_type(there), "length", None)
    if not isinstance(length, int) or demand.role not in {"assignment", "error"}:
        return
    needed, enough, what = (_error_length if demand.role == "error" else _name_length)(demand, nodes)
    if length < enough:
        level = Level.PROBLEM if length < needed else Level.ADVICE
        kind = f"VARCHAR({needed if length < needed else enough})"
        change = catalogue.write.alter_column(demand.column, f"TYPE {kind}")
        narrow = f"the {demand.title} column has {length} characters: {what}"
        yield Finding(level, where(demand.column), narrow, f"make it {kind}", change)


def _name_length(demand: RequiredColumn, nodes: Collection[str] | None) -> tuple[int, int, str]:
    """The length that is required, the length that is recommended, and why."""
    del demand
    if nodes is None:
        return 0, NAME_LENGTH, "names of nodes may be longer"
    longest = max(nodes, key=len, default="")
    return len(longest), len(longest), f"the node {longest} has {len(longest)}"


def _error_length(demand: RequiredColumn, nodes: Collection[str] | None) -> tuple[int, int, str]:
    """The same. Reasons are cut to the declared length; PostgreSQL rejects a reason longer than the column."""
    del nodes
    written = min(getattr(demand.column.type, "length", None) or LONGEST_TEXT, LONGEST_TEXT)
    return written, max(written, ERROR_LENGTH), f"reasons have up to {written} characters"


def _flag_findings(
    catalogue: LiveSchema, demand: RequiredColumn, there: ReflectedColumn
) -> Iterator[Finding]:
    change: Callable[[Column[Any], str], tuple[str, ...]] = catalogue.write.alter_column
    at = where(demand.column)
    if not there["nullable"]:
        what = f"the {demand.title} flag is NOT NULL, but null means that the record was not sent yet"
        yield Finding(Level.PROBLEM, at, what, "make it nullable", change(demand.column, "DROP NOT NULL"))
    default = there["default"]
    if default is None or default.strip("() ").lower().startswith("null"):
        return
    level = Level.PROBLEM if demand.role == "success" else Level.ADVICE
    what = f"the {demand.title} flag has the default {default}, so a new record looks as if it had been sent"
    yield Finding(level, at, what, "remove the default", change(demand.column, "DROP DEFAULT"))


def _table(demand: RequiredColumn) -> Table:
    table = demand.column.table
    assert isinstance(table, Table)  # noqa: S101 - a mapped class has one table
    return table
