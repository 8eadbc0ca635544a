"""Rows held against a declaration: a few of them, and those that would never be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Column, Engine, Select, func, select

from workmesh_flows.adapters.store.check.column_checks import where
from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.entity_table import entity_table
from workmesh_flows.adapters.store.protocol_tables import join_owner
from workmesh_flows.adapters.store.weights import weight_column
from workmesh_flows.domain.columns import column_of, first_line, table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import StoreError, StoreUnavailable

SAMPLE = 1_000
"""Records whose owner is looked for."""
KEYS = 100
"""Keys that are read and looked for again."""


def owner_findings(engine: Engine, service: Service, protocol: Protocol) -> Iterator[Finding]:
    """How many of some records reach an entity."""
    joined = join_owner(service, protocol, outer=True)
    at = table_of(protocol.record).fullname
    try:
        owners = _first_column(engine, select(joined.owner).select_from(joined.source).limit(SAMPLE))
    except _Unreadable as error:
        what = f"the owner path cannot be followed: {error}"
        yield Finding(Level.PROBLEM, at, what, "make the types of the joined columns agree")
        return
    reached = sum(owner is not None for owner in owners)
    if reached == len(owners):
        return
    what = f"{reached:,} of the first {len(owners):,} records reach an entity"
    if reached:
        yield Finding(Level.NOTE, at, what, "the others are counted and never sent: see that it is meant")
    else:
        yield Finding(Level.PROBLEM, at, what, "correct the owner path: as it is, nothing is sent")


def sort_findings(
    engine: Engine, protocol: Protocol, change: Callable[[Column[Any], str], tuple[str, ...]]
) -> Iterator[Finding]:
    """For a sort column that may be null: how many records have none. ``change`` writes DDL for a column."""
    sort = column_of(protocol.sort)
    statement = select(func.count()).select_from(table_of(protocol.record)).where(sort.is_(None))
    (nulls,) = _first_column(engine, statement)
    title = "the sort column may be null"
    if nulls:
        what = (
            f"{title}, and is in {nulls:,} records: they have no place in the order, and are not sent in it"
        )
        yield Finding(Level.PROBLEM, where(sort), what, "give these records a value, and make it NOT NULL")
    else:
        what = f"{title}: a record without a value would have no place in the order"
        yield Finding(Level.PROBLEM, where(sort), what, "make it NOT NULL", change(sort, "SET NOT NULL"))


def key_form_findings(engine: Engine, column: Column[Any], title: str) -> Iterator[Finding]:
    """Keys that are not found again as they were read, like UUIDs that SQLite holds with dashes."""
    what = ""
    try:
        keys = set(_first_column(engine, select(column).limit(KEYS))) - {None}
        statement = select(column).where(column.in_(keys)).limit(KEYS * KEYS)
        lost = keys - set(_first_column(engine, statement))
    except _Unreadable as error:
        what = f"cannot be read: {error}"
    else:
        if lost:
            what = f"{len(lost):,} of {len(keys):,} are not found again under what was read of them"
    if what:
        to_do = "store them in the form that the declared type writes, or declare the type that they have"
        yield Finding(Level.PROBLEM, where(column), f"values of the {title} column: {what}", to_do)


def weight_findings(engine: Engine, service: Service) -> Iterator[Finding]:
    """A weight that the database cannot work out."""
    weight = weight_column(service)
    if weight is None:
        return  # a function of the entity
    try:
        _first_column(engine, select(weight, entity_table(service).key).limit(1))
    except _Unreadable as error:
        what = f"the weight cannot be read: {error}"
        yield Finding(Level.PROBLEM, table_of(service.entity).fullname, what, "correct the criterion")


class _Unreadable(Exception):
    """The database or a type says no, and would the next time."""


def _first_column(engine: Engine, statement: Select[Any]) -> list[Any]:
    try:
        with translated_errors(), engine.connect() as connection:
            return list(connection.execute(statement).scalars())
    except StoreUnavailable:
        raise
    except (StoreError, ArithmeticError, TypeError, ValueError) as error:  # a type raises the last three bare
        raise _Unreadable(first_line(error)) from error
