"""Parked records as people see them: with their node, and what waits behind each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Engine, Select, String, cast, func, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.adapters.store.statements import records as statements
from workmesh_flows.adapters.store.statements.refused import refused_in
from workmesh_flows.domain.columns import column_of, table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.planning.refusals import RefusalState


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A refused record; ``waiting`` are the records behind it: its owner's, or all of its lane where it blocks that.

    ``node`` is where its owner is now, None where it has none.
    """

    service: str
    protocol: str
    record: str
    entity: str
    node: str | None
    state: RefusalState
    attempts: int
    waiting: int
    since: datetime
    reason: str


def refused_records(engine: Engine, service: Service, protocol: Protocol) -> list[RefusedRecord]:
    """The refused records of a protocol that were not pushed since, the longest refused first."""
    key, assigned = cast(statements.entity_key(service), String), column_of(service.assigned_to)
    query = (
        select(parked, assigned.label("node"))
        .join(table_of(service.entity), key == parked.c.owner, isouter=True)
        .where(refused_in(service, protocol))
        .order_by(parked.c.since, parked.c.record)
    )
    with translated_errors(), engine.connect() as connection:
        rows = connection.execute(query).all()
        if not rows:
            return []
        pending = dict(connection.execute(_pending_of_owners(service, protocol)).tuples().all())
        blocked = {row.node for row in rows if row.state == RefusalState.BLOCKING and row.node is not None}
        lanes = {
            node: connection.scalar(statements.count_pending(service, protocol, node)) or 0
            for node in blocked
        }
    refused = Counter(row.owner for row in rows)

    def behind(row: Any) -> int:  # noqa: ANN401 - a result row
        if row.state == RefusalState.SKIPPED:
            return 0
        if row.state == RefusalState.BLOCKING and row.node is not None:
            return lanes[row.node] - 1
        return int(pending.get(row.owner, 0)) - refused[row.owner]

    return [
        RefusedRecord(
            row.service,
            row.protocol,
            _as_shown(column_of(protocol.id), row.record),
            _as_shown(statements.entity_key(service), row.owner),
            row.node,
            RefusalState(row.state),
            row.attempts,
            max(behind(row), 0),
            row.since,
            row.reason,
        )
        for row in rows
    ]


def _as_shown(column: Column[Any], kept: str) -> str:
    """A key as people know it: SQLite keeps a UUID without its dashes."""
    try:
        return str(parse_key(column, kept))
    except ValueError:
        return kept


def _pending_of_owners(service: Service, protocol: Protocol) -> Select[Any]:
    """Of each entity with a refused record, as our table keeps its key: how many records are pending."""
    assert protocol.push is not None  # noqa: S101 - only what is pushed can be refused
    joined = statements.join_owner(service, protocol)
    owner = cast(joined.owner, String)
    refused = select(parked.c.owner).where(refused_in(service, protocol))
    return (
        select(owner, func.count())
        .select_from(joined.source)
        .where(owner.in_(refused), column_of(protocol.push.flags.success).is_not(True))
        .group_by(owner)
    )
