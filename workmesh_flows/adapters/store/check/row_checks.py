"""Checks of a sample of rows against a declaration, and counts of records that would never be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy import Column, Engine, Select, String, func, select, type_coerce

from workmesh_flows.adapters.store.check.column_checks import where
from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.entities import weights_by_node
from workmesh_flows.adapters.store.protocol_tables import entity_table, join_owner
from workmesh_flows.domain.checks.payload import NO_JSON_FORM
from workmesh_flows.domain.columns import column_of, first_line, table_of
from workmesh_flows.domain.payload import payload_columns
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import StoreUnavailable

Read = TypeVar("Read")

SAMPLE = 1_000
"""Number of records whose entity is looked up."""
KEYS = 100
"""Number of keys that are read, then looked up by the value read."""
EXCERPT = 11
"""Characters of a key that a finding shows."""


def owner_findings(engine: Engine, service: Service, protocol: Protocol) -> Iterator[Finding]:
    """Findings for records in a sample that do not reach an entity."""
    joined = join_owner(entity_table(service), protocol, outer=True)
    at = table_of(protocol.record).fullname
    try:
        owners = _first_column(engine, select(joined.owner).select_from(joined.source).limit(SAMPLE))
    except _Unreadable as error:
        what = f"the owner path cannot be followed: {error}"
        yield Finding(Level.PROBLEM, at, what, "give the joined columns the same type")
        return
    reached = sum(owner is not None for owner in owners)
    if reached == len(owners):
        return
    what = f"{reached:,} of the first {len(owners):,} records reach an entity"
    if reached:
        yield Finding(
            Level.NOTE, at, what, "the others are counted and never sent: check that this is intended"
        )
    else:
        yield Finding(Level.PROBLEM, at, what, "correct the owner path: with this one, no record is sent")


def sort_findings(
    engine: Engine, protocol: Protocol, change: Callable[[Column[Any], str], tuple[str, ...]]
) -> Iterator[Finding]:
    """The finding for a nullable sort column, with the number of nulls. ``change`` writes DDL for a column."""
    sort = column_of(protocol.sort)
    statement = select(func.count()).select_from(table_of(protocol.record)).where(sort.is_(None))
    (nulls,) = _first_column(engine, statement)
    title = "the sort column is nullable"
    if nulls:
        what = f"{title} and null in {nulls:,} records: they have no position in the order, and are not sent in order"
        yield Finding(Level.PROBLEM, where(sort), what, "set a value in these records, then make it NOT NULL")
    else:
        what = f"{title}: a record without a value has no position in the order"
        yield Finding(Level.PROBLEM, where(sort), what, "make it NOT NULL", change(sort, "SET NOT NULL"))


def key_form_findings(engine: Engine, column: Column[Any], title: str) -> Iterator[Finding]:
    """The finding for keys that are not found by the value read, such as UUIDs that SQLite stores with dashes."""
    to_do = "store them in the form that the declared type writes, or declare the type that is stored"
    try:
        stored = dict(_rows(engine, select(column, type_coerce(column, String())).limit(KEYS)))
        keys = [key for key in stored if key is not None]
        statement = select(column).where(column.in_(keys)).limit(KEYS * KEYS)
        found = set(_first_column(engine, statement))
    except _Unreadable as error:
        what = f"values of the {title} column cannot be read: {error}"
        yield Finding(Level.PROBLEM, where(column), what, to_do)
        return
    if lost := [key for key in keys if key not in found]:
        what = f"{len(lost):,} of {len(keys):,} values of the {title} column are not found again by the value read"
        raw, written = stored[lost[0]], _written(engine, column, lost[0])
        if raw != written:
            what += f": stored as {_excerpt(raw)}, but the declared type writes {_excerpt(written)}"
            to_do = f"declare Mapped[{type(raw).__name__}]"
        yield Finding(Level.PROBLEM, where(column), what, to_do)


def _written(engine: Engine, column: Column[Any], value: object) -> object:
    """The form in which the declared type of a column writes a value."""
    write = column.type.dialect_impl(engine.dialect).bind_processor(engine.dialect)
    return value if write is None else write(value)


def _excerpt(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= EXCERPT else f"{text[:EXCERPT]}...")


def payload_findings(
    engine: Engine, protocol: Protocol, has_json_form: Callable[[Any], bool]
) -> Iterator[Finding]:
    """Findings for columns of a sample of records that cannot be read, or whose values have no JSON form."""
    for name, column in payload_columns(protocol).items():
        at = f"{protocol.record.__name__}.{name}"
        statement = select(column).where(column.is_not(None)).limit(KEYS)
        try:
            values = _first_column(engine, statement)
        except _Unreadable as error:
            if column is not column_of(protocol.id):  # whose values are checked as keys
                what = f"values of {at} cannot be read: {error}"
                yield Finding(Level.PROBLEM, where(column), what, "correct the values, or the declared type")
            continue
        if without := next((value for value in values if not has_json_form(value)), None):
            what = NO_JSON_FORM.format(name=at, kind=type(without).__name__)
            problem, remedy = what.split("; ", maxsplit=1)
            yield Finding(Level.PROBLEM, where(column), problem, remedy)


def weight_findings(engine: Engine, service: Service) -> Iterator[Finding]:
    """Findings for a weight that the database cannot compute, and for weights that are not whole numbers from 0 up."""
    at = table_of(service.entity).fullname
    try:
        found = _readable(lambda: weights_by_node(engine, service))
    except _Unreadable as error:
        yield Finding(Level.PROBLEM, at, f"the weight cannot be read: {error}", "correct the criterion")
        return
    if number := len(found.unusable):
        key, reason = found.unusable[0]
        entities = "1 entity has a weight" if number == 1 else f"{number:,} entities have weights"
        what = f"{entities} that cannot be used, for example {key}: {reason}"
        yield Finding(
            Level.PROBLEM,
            at,
            what,
            "correct it: until then it counts as 0, and an entity without a node is not assigned",
        )


class _Unreadable(Exception):
    """The database or a type rejects the statement permanently."""


def _first_column(engine: Engine, statement: Select[Any]) -> list[Any]:
    return [row[0] for row in _rows(engine, statement)]


def _rows(engine: Engine, statement: Select[Any]) -> list[tuple[Any, ...]]:
    def read() -> list[tuple[Any, ...]]:
        with translated_errors(), engine.connect() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    return _readable(read)


def _readable(read: Callable[[], Read]) -> Read:
    try:
        return read()
    except StoreUnavailable:
        raise
    except Exception as error:
        # StoreError, or what a type raises untranslated.
        raise _Unreadable(first_line(error)) from error
