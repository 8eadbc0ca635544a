"""The list of refused and failed records, each with its node and the number of records that wait behind it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Engine, Select, String, cast, func, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.adapters.store.statements.pending import count_pending
from workmesh_flows.adapters.store.statements.refused import listed_in, refused_in
from workmesh_flows.planning.refusals import RefusalState

HOLDS_NOTHING = (RefusalState.SKIPPED, RefusalState.FAILED, RefusalState.REPLAYED)
"""The states of records behind which no record waits."""


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A refused or failed record.

    ``waiting`` counts the records that wait behind it: those of its entity, or all of its lane where it blocks that.
    ``node`` is the node to which its entity is assigned now, None where it has none.
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


def refused_records(engine: Engine, tables: PushTables) -> list[RefusedRecord]:
    """The records of a protocol that were refused and not pushed since, or have failed; the earliest is first."""
    entities = tables.entities
    query = (
        select(parked, entities.node.label("node"))
        .join(entities.table, cast(entities.key, String) == parked.c.owner, isouter=True)
        .where(listed_in(tables))
        .order_by(parked.c.since, parked.c.record)
    )
    with translated_errors(), engine.connect() as connection:
        rows = connection.execute(query).all()
        if not rows:
            return []
        pending: dict[str, int] = dict(connection.execute(_pending_of_owners(tables)).all())
        blocked = {row.node for row in rows if row.state == RefusalState.BLOCKING and row.node is not None}
        lanes = {node: connection.scalar(count_pending(tables, node)) or 0 for node in blocked}
    refused = Counter(row.owner for row in rows if row.state != RefusalState.FAILED)

    def count_behind(row: Any) -> int:  # noqa: ANN401 - a result row
        if row.state in HOLDS_NOTHING:
            return 0
        if row.state == RefusalState.BLOCKING and row.node is not None:
            return lanes[row.node] - 1
        return int(pending.get(row.owner, 0)) - refused[row.owner]

    found = [
        RefusedRecord(
            row.service,
            row.protocol,
            _as_shown(tables.id, row.record),
            _as_shown(entities.key, row.owner),
            row.node,
            RefusalState(row.state),
            row.attempts,
            max(count_behind(row), 0),
            row.since,
            row.reason,
        )
        for row in rows
    ]
    if all(one.record.isdecimal() for one in found):  # the database sorts ids as text: 100 before 25
        found.sort(key=lambda one: (one.since, int(one.record)))
    return found


def _as_shown(column: Column[Any], stored: str) -> str:
    """A key in the form that users know: SQLite stores a UUID without its dashes."""
    try:
        return str(parse_key(column, stored))
    except ValueError:
        return stored


def _pending_of_owners(tables: PushTables) -> Select[str, int]:
    """The key, as text, of each entity with a refused record, and the number of its pending records."""
    owner = cast(tables.joined.owner, String)
    refused = select(parked.c.owner).where(refused_in(tables))
    return (
        select(owner, func.count())
        .select_from(tables.joined.source)
        .where(owner.in_(refused), tables.push_flags.success.is_not(True))
        .group_by(owner)
    )
