"""Conditions on refused records: on the Workmesh table that lists them, and on the records themselves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Insert,
    Select,
    String,
    and_,
    bindparam,
    cast,
    func,
    insert,
    literal,
    select,
)

from workmesh_flows.adapters.store.protocol_tables import ProtocolTables
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.planning.refusals import REFUSED, UNDECIDED, RefusalState


def listed_in(tables: ProtocolTables) -> ColumnElement[bool]:
    """The condition that selects the rows of one protocol in the table of refused and failed records."""
    return and_(parked.c.service == tables.service.name, parked.c.protocol == tables.protocol.name)


def list_record(tables: ProtocolTables, *conditions: ColumnElement[bool]) -> Insert:
    """List a record that matches the conditions and is not listed yet.

    Parameters: ``workmesh_id``, ``workmesh_state``, ``workmesh_attempts``, ``workmesh_reason``, ``workmesh_since``.
    """
    key, given = tables.id, ("state", "attempts", "reason", "since")
    listed = select(parked.c.record).where(listed_in(tables), parked.c.record == cast(key, String))
    row = (
        select(
            literal(tables.service.name),
            literal(tables.protocol.name),
            cast(key, String),
            cast(tables.joined.owner, String),
            *(bindparam(f"workmesh_{name}", type_=parked.c[name].type) for name in given),
        )
        .select_from(tables.joined.source)
        .where(key == bindparam("workmesh_id", type_=key.type), ~listed.exists(), *conditions)
    )
    return insert(parked).from_select(["service", "protocol", "record", "owner", *given], row)


def refused_in(tables: ProtocolTables) -> ColumnElement[bool]:
    """The condition that selects the refused records of one protocol."""
    return and_(listed_in(tables), parked.c.state.in_(REFUSED))


def failed_in(tables: ProtocolTables) -> ColumnElement[bool]:
    """The condition that selects the failed records of one protocol."""
    return and_(listed_in(tables), parked.c.state == RefusalState.FAILED)


def undecided_counts(tables: ProtocolTables) -> Select[Any]:
    """One row per node and state: the number of records of one protocol that wait for a decision."""
    entities = tables.entities
    return (
        select(entities.node.label("node"), parked.c.state, func.count().label("records"))
        .select_from(parked.join(entities.table, cast(entities.key, String) == parked.c.owner))
        .where(listed_in(tables), parked.c.state.in_(UNDECIDED))
        .group_by(entities.node, parked.c.state)
    )


def not_parked(tables: ProtocolTables) -> ColumnElement[bool]:
    """The condition that leaves out parked and skipped records, and records that wait behind a parked one."""
    rows = refused_in(tables)
    owners = select(parked.c.owner).where(rows, parked.c.state == RefusalState.PARKED)
    alone = select(parked.c.record).where(
        rows, parked.c.state.in_([RefusalState.PARKED, RefusalState.SKIPPED])
    )
    return and_(cast(tables.joined.owner, String).not_in(owners), cast(tables.id, String).not_in(alone))
