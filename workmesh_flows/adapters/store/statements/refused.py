"""Conditions on refused records: on the Workmesh table that lists them, and on the records themselves."""

from __future__ import annotations

from sqlalchemy import ColumnElement, String, and_, cast, select

from workmesh_flows.adapters.store.protocol_tables import ProtocolTables
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.planning.refusals import REFUSED, RefusalState


def listed_in(tables: ProtocolTables) -> ColumnElement[bool]:
    """The condition that selects the rows of one protocol in the table of refused and failed records."""
    return and_(parked.c.service == tables.service.name, parked.c.protocol == tables.protocol.name)


def refused_in(tables: ProtocolTables) -> ColumnElement[bool]:
    """The condition that selects the refused records of one protocol."""
    return and_(listed_in(tables), parked.c.state.in_(REFUSED))


def failed_in(tables: ProtocolTables) -> ColumnElement[bool]:
    """The condition that selects the failed records of one protocol."""
    return and_(listed_in(tables), parked.c.state == RefusalState.FAILED)


def not_parked(tables: ProtocolTables) -> ColumnElement[bool]:
    """The condition that leaves out parked and skipped records, and records that wait behind a parked one."""
    rows = refused_in(tables)
    owners = select(parked.c.owner).where(rows, parked.c.state == RefusalState.PARKED)
    alone = select(parked.c.record).where(
        rows, parked.c.state.in_([RefusalState.PARKED, RefusalState.SKIPPED])
    )
    return and_(cast(tables.joined.owner, String).not_in(owners), cast(tables.id, String).not_in(alone))
