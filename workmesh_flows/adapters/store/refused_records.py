"""Parked records: those that were refused, how often, and which of them are set aside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    String,
    TypeDecorator,
    and_,
    bindparam,
    cast,
    delete,
    insert,
    literal,
    select,
)

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.adapters.store.statements.records import entity_key, join_owner
from workmesh_flows.adapters.store.statements.refused import refused_in
from workmesh_flows.adapters.store.values import stored_text
from workmesh_flows.domain.columns import column_of, table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.planning.refusals import RefusalState

AT_ONCE = 500
"""Keys that one statement names."""


@dataclass(slots=True)
class Refusals:
    """What is known of a protocol's refused records while a lane is worked.

    ``retrying`` are those that are tried again, by id: attempts, and the time of the first; ``has_parked`` says whether
    others are not to be read.
    """

    retrying: dict[Any, tuple[int, datetime]] = field(default_factory=dict)
    has_parked: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """One more refusal of one record, and what follows from it."""

    reason: str
    attempts: int
    since: datetime
    state: RefusalState


def read_refusals(engine: Engine, service: Service, protocol: Protocol) -> Refusals:
    """All refused records of a protocol, whichever node they go to; forgets those that are settled."""
    ids = forget_settled(engine, service, protocol)
    query = select(parked.c.record, parked.c.attempts, parked.c.since).where(
        refused_in(service, protocol), parked.c.state == RefusalState.RETRYING
    )
    aside = (
        select(literal(1))
        .where(refused_in(service, protocol), parked.c.state != RefusalState.RETRYING)
        .limit(1)
    )
    with translated_errors(), engine.connect() as connection:
        retrying = {
            ids[record]: (attempts, since)
            for record, attempts, since in connection.execute(query)
            if record in ids
        }
        return Refusals(retrying, has_parked=connection.scalar(aside) is not None)


def forget_settled(engine: Engine, service: Service, protocol: Protocol) -> dict[str, Any]:
    """Forget refused records that were deleted meanwhile, or flagged as pushed by somebody else: nothing waits for them.

    Returns the ids of the others by their text. Skipped ones, which hold back nothing, are not looked at.
    """
    assert protocol.push is not None  # noqa: S101 - only what is pushed can be refused
    mine = and_(refused_in(service, protocol), parked.c.state != RefusalState.SKIPPED)
    key, success = column_of(protocol.id), column_of(protocol.push.flags.success)
    ids: dict[str, Any] = {}
    with translated_errors(), engine.connect() as connection:
        texts = list(connection.scalars(select(parked.c.record).where(mine)))
        for start in range(0, len(texts), AT_ONCE):
            query = select(cast(key, String), key).where(success.is_not(True))
            some = query.where(_among(key, texts[start : start + AT_ONCE]))
            ids.update(connection.execute(some).tuples().all())
    gone = [text for text in texts if text not in ids]
    if gone:
        with translated_errors(), engine.begin() as connection:
            for start in range(0, len(gone), AT_ONCE):
                connection.execute(
                    delete(parked).where(mine, parked.c.record.in_(gone[start : start + AT_ONCE]))
                )
    return ids


def _among(key: Column[Any], texts: Sequence[str]) -> ColumnElement[bool]:
    """The condition on records that have one of these keys, by the column itself where that is possible."""
    if isinstance(key.type, TypeDecorator):  # which values it takes is the user's own affair
        return cast(key, String).in_(texts)
    try:
        return key.in_([parse_key(key, text) for text in texts])
    except ValueError:
        return cast(key, String).in_(texts)


def blocking_record(
    engine: Engine, service: Service, protocol: Protocol, node: str
) -> tuple[str, str] | None:
    """The record that blocks a lane, and the reason of its refusal; None where none does."""
    assigned, key = column_of(service.assigned_to), cast(entity_key(service), String)
    query = (
        select(parked.c.record, parked.c.reason)
        .join(table_of(service.entity), key == parked.c.owner)
        .where(refused_in(service, protocol), parked.c.state == RefusalState.BLOCKING, assigned == node)
        .order_by(parked.c.since)
    )
    with translated_errors(), engine.connect() as connection:
        row = connection.execute(query).first()
    return None if row is None else (row.record, row.reason)


def save_refusals(
    connection: Connection, service: Service, protocol: Protocol, refused: Mapping[Any, Refusal]
) -> None:
    """Keep what became of refused records, in the transaction that flags them.

    One that a person skipped while it was on its way stays skipped.
    """
    forget_refusals(connection, service, protocol, list(refused), but_skipped=True)
    joined = join_owner(service, protocol)
    key = column_of(protocol.id)
    names = ("service", "protocol", "record", "owner", "state", "attempts", "reason", "since")
    row = select(
        literal(service.name),
        literal(protocol.name),
        cast(key, String),
        cast(joined.owner, String),
        *(bindparam(f"workmesh_{name}", type_=parked.c[name].type) for name in names[4:]),
    )
    skipped = select(parked.c.record).where(
        refused_in(service, protocol), parked.c.record == cast(key, String)
    )
    found = row.select_from(joined.source).where(
        key == bindparam("workmesh_id", type_=key.type), ~skipped.exists()
    )
    connection.execute(
        insert(parked).from_select(names, found),
        [
            {
                "workmesh_id": record_id,
                "workmesh_state": refusal.state,
                "workmesh_attempts": refusal.attempts,
                "workmesh_reason": stored_text(refusal.reason),
                "workmesh_since": refusal.since,
            }
            for record_id, refusal in refused.items()
        ],
    )


def forget_refusals(
    connection: Connection,
    service: Service,
    protocol: Protocol,
    ids: Sequence[Any],
    *,
    but_skipped: bool = False,
) -> None:
    """These records are no more refused."""
    mine = refused_in(service, protocol)
    if but_skipped:
        mine = and_(mine, parked.c.state != RefusalState.SKIPPED)
    key = column_of(protocol.id)
    for start in range(0, len(ids), AT_ONCE):
        some = [cast(literal(record_id, key.type), String) for record_id in ids[start : start + AT_ONCE]]
        connection.execute(delete(parked).where(mine, parked.c.record.in_(some)))


def forget_refusals_of_owners(connection: Connection, service: Service, owners: Collection[Any]) -> None:
    """All refused records of these entities get their tries anew."""
    key = entity_key(service)
    listed = list(owners)
    for start in range(0, len(listed), AT_ONCE):
        some = [cast(literal(owner, key.type), String) for owner in listed[start : start + AT_ONCE]]
        mine = parked.c.service == service.name
        connection.execute(delete(parked).where(mine, parked.c.owner.in_(some)))
