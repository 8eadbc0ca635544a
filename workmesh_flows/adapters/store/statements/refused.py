"""Conditions on refused records: on our table of them, and on the records themselves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, select

from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.planning.refusals import RefusalState


def refused_in(service: Service, protocol: Protocol) -> ColumnElement[bool]:
    """The condition that finds the rows of a protocol in our table."""
    return and_(parked.c.service == service.name, parked.c.protocol == protocol.name)


def not_parked(service: Service, protocol: Protocol, owner: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition on records that leaves out those that are set aside, and what waits behind them."""
    mine = refused_in(service, protocol)
    owners = select(parked.c.owner).where(mine, parked.c.state == RefusalState.PARKED)
    alone = select(parked.c.record).where(
        mine, parked.c.state.in_([RefusalState.PARKED, RefusalState.SKIPPED])
    )
    return and_(cast(owner, String).not_in(owners), cast(column_of(protocol.id), String).not_in(alone))
