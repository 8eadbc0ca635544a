"""Parked records for people: listed with what waits behind them, replayed or skipped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    String,
    TypeDecorator,
    and_,
    cast,
    delete,
    literal,
    or_,
    select,
    update,
)

from workmesh_flows.adapters import statements
from workmesh_flows.adapters.database import translated_errors
from workmesh_flows.adapters.keys import parse_key
from workmesh_flows.adapters.schema import ensure_row, parked, services
from workmesh_flows.domain.columns import column_of, table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import UnknownName
from workmesh_flows.planning.delivery import Standing

Decision: TypeAlias = Literal["replay", "skip"]
UNDECIDED = (Standing.PARKED, Standing.BLOCKING)


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """A refused record; ``waiting`` are the records behind it: its owner's, or all of its lane where it blocks that.

    ``node`` is where its owner is now, None where it has none.
    """

    service: str
    protocol: str
    record: str
    entity: str
    node: str | None
    state: Standing
    attempts: int
    waiting: int
    since: datetime
    reason: str


def parked_records(engine: Engine, service: Service, protocol: Protocol) -> list[ParkedRecord]:
    """The refused records of a protocol that were not pushed since, the longest refused first."""
    key, assigned = cast(statements.entity_key(service), String), column_of(service.assigned_to)
    query = (
        select(parked, assigned.label("node"))
        .join(table_of(service.entity), key == parked.c.owner, isouter=True)
        .where(statements.set_aside(service, protocol))
        .order_by(parked.c.since, parked.c.record)
    )
    with translated_errors(), engine.connect() as connection:
        rows = connection.execute(query).all()
        if not rows:
            return []
        owners = dict(connection.execute(statements.count_behind(service, protocol)).tuples().all())
        blocked = {row.node for row in rows if row.state == Standing.BLOCKING and row.node is not None}
        lanes = {
            node: connection.scalar(statements.count_pending(service, protocol, node)) or 0
            for node in blocked
        }
    refused = {(row.owner, row.record) for row in rows}
    found = []
    for row in rows:
        behind = owners.get(row.owner, 0) - sum(owner == row.owner for owner, _ in refused)
        if row.state == Standing.BLOCKING and row.node is not None:
            behind = lanes[row.node] - 1
        elif row.state == Standing.SKIPPED:
            behind = 0
        found.append(
            ParkedRecord(
                row.service,
                row.protocol,
                row.record,
                row.owner,
                row.node,
                Standing(row.state),
                row.attempts,
                max(behind, 0),
                row.since,
                row.reason,
            )
        )
    return found


def decide(  # noqa: PLR0913 - each narrows the choice
    engine: Engine,
    service: Service,
    protocols: Sequence[Protocol],
    decision: Decision,
    *,
    records: Collection[str] = (),
    entities: Collection[str] = (),
) -> int:
    """Replay or skip refused records: those named, those of the entities named, or all that wait for a decision.

    A replayed record gets its tries anew; a skipped one is not sent any more, and what waits behind it goes on. Both
    make a push that runs meanwhile read the lane from its beginning again, so that what comes free keeps its order.
    Returns how many records it was. Raises UnknownName, and changes nothing, where one of what is named was not refused.
    """
    changed = 0
    with translated_errors():
        ensure_row(engine, services, service=service.name)
        with engine.begin() as connection:
            for kind, names in (("refused record", records), ("entity with refused records", entities)):
                if strangers := _strangers(connection, service, protocols, kind, names):
                    raise UnknownName(f"{kind} of {service.name}", ", ".join(strangers))
            mine = services.c.service == service.name
            connection.execute(update(services).where(mine).values(revision=services.c.revision + 1))
            for protocol in protocols:
                chosen = _chosen(service, protocol, records, entities)
                row = and_(statements.set_aside(service, protocol), chosen)
                change = (
                    delete(parked).where(row)
                    if decision == "replay"
                    else update(parked)
                    .where(row, parked.c.state != Standing.SKIPPED)
                    .values(state=Standing.SKIPPED)
                )
                changed += connection.execute(change).rowcount
    return changed


def _strangers(
    connection: Connection, service: Service, protocols: Sequence[Protocol], kind: str, names: Collection[str]
) -> list[str]:
    """The names that no refused record of these protocols has, or no entity of one."""
    column = parked.c.record if kind == "refused record" else parked.c.owner

    def is_known(protocol: Protocol, said: str) -> bool:
        key = column_of(protocol.id) if column is parked.c.record else statements.entity_key(service)
        row = select(literal(1)).where(statements.set_aside(service, protocol), column == _as_kept(key, said))
        return connection.execute(row.limit(1)).first() is not None

    return [said for said in names if not any(is_known(protocol, said) for protocol in protocols)]


def _chosen(
    service: Service, protocol: Protocol, records: Collection[str], entities: Collection[str]
) -> ColumnElement[bool]:
    if not records and not entities:
        return parked.c.state.in_(UNDECIDED)
    key, owner = column_of(protocol.id), statements.entity_key(service)
    return or_(
        parked.c.record.in_([_as_kept(key, said) for said in records]),
        parked.c.owner.in_([_as_kept(owner, said) for said in entities]),
    )


def _as_kept(column: Column[Any], said: str) -> ColumnElement[str]:
    """A key as people write it, as our table keeps it: the database's own text."""
    if isinstance(column.type, TypeDecorator):  # which values it takes is the user's own affair
        return literal(said)
    try:
        return cast(literal(parse_key(column, said), column.type), String)
    except ValueError:
        return literal(said)
