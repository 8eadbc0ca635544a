"""Refused records: how often each was refused, and which are retried, parked, blocking or skipped."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    String,
    and_,
    cast,
    delete,
    literal,
    select,
)

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import as_texts, in_parts, is_one_of
from workmesh_flows.adapters.store.protocol_tables import PushTables, entity_table
from workmesh_flows.adapters.store.replays import read_replays, replay_pending
from workmesh_flows.adapters.store.schema import parked
from workmesh_flows.adapters.store.statements.refused import list_record, listed_in, refused_in
from workmesh_flows.adapters.store.values import as_utc, stored_text
from workmesh_flows.domain.service import Service
from workmesh_flows.planning.refusals import REFUSED, RefusalState


@dataclass(frozen=True, slots=True)
class RetryingRecord:
    """A refused record that is sent again: its entity, the refusals that count, and when the first and the last one was."""

    owner: Any
    attempts: int
    since: datetime
    last: datetime


@dataclass(slots=True)
class Refusals:
    """The refused records of one protocol on one node, as a run over a lane knows them.

    ``retrying`` has the records that are sent again, by id; ``has_parked`` is true where the protocol has other refused
    records, on whichever node, which must not be read. ``replayed`` has the failed records that are pending again, and
    when each was replayed.
    """

    retrying: dict[Any, RetryingRecord] = field(default_factory=dict)
    has_parked: bool = False
    replayed: dict[Any, datetime] = field(default_factory=dict)

    def counted_since(self, time: datetime | None) -> dict[Any, RetryingRecord]:
        """The retrying records whose last refusal was counted at this time or later; none where it is None."""
        if time is None:
            return {}
        return {key: each for key, each in self.retrying.items() if each.attempts and each.last >= time}


@dataclass(frozen=True, slots=True)
class Refusal:
    """The latest refusal of one record, the attempts since the first one, and the state that follows from it.

    It is not ``counted`` where the node is suspected: ``attempts`` is then as before.
    """

    owner: Any
    reason: str
    attempts: int
    since: datetime
    state: RefusalState
    counted: bool = True


def read_refusals(engine: Engine, tables: PushTables, node: str) -> Refusals:
    """Read the refused records of a lane; first deletes those of the protocol that are no longer pending.

    A failed record that somebody else made pending again is replayed.
    """
    replay_pending(engine, tables, node)
    replayed = read_replays(engine, tables)
    ids = forget_settled(engine, tables)
    query = select(parked.c.record, parked.c.attempts, parked.c.since).where(
        refused_in(tables), parked.c.state == RefusalState.RETRYING
    )
    others = select(literal(1)).where(refused_in(tables), parked.c.state != RefusalState.RETRYING).limit(1)
    with translated_errors(), engine.connect() as connection:
        rows = {
            ids[record]: (attempts, since)
            for record, attempts, since in connection.execute(query)
            if record in ids
        }
        retrying = {
            record_id: RetryingRecord(owner, *rows[record_id], last=as_utc(last or rows[record_id][1]))
            for record_id, owner, last in _owners(connection, tables, node, list(rows))
        }
        return Refusals(retrying, connection.scalar(others) is not None, replayed)


def _owners(
    connection: Connection, tables: PushTables, node: str, ids: Sequence[Any]
) -> Iterator[tuple[Any, Any, datetime | None]]:
    """Id, owner and flag time of those of these records whose entity is assigned to the node."""
    joined, key = tables.joined, tables.id
    query = select(key, joined.owner, tables.push_flags.time).select_from(joined.source)
    for some in in_parts(ids):
        yield from connection.execute(query.where(joined.node == node, key.in_(some))).all()


def forget_settled(engine: Engine, tables: PushTables) -> dict[str, Any]:
    """Delete the refusals of records that were deleted or flagged as pushed by another program meanwhile.

    Nothing waits behind such records any more. Returns the ids of the remaining records by their text. Skipped
    records hold nothing back and are not checked.
    """
    rows = and_(refused_in(tables), parked.c.state != RefusalState.SKIPPED)
    key, success = tables.id, tables.push_flags.success
    ids: dict[str, Any] = {}
    with translated_errors(), engine.connect() as connection:
        texts = list(connection.scalars(select(parked.c.record).where(rows)))
        for some in in_parts(texts):
            query = select(cast(key, String), key).where(success.is_not(True), is_one_of(key, some))
            ids.update(connection.execute(query).all())
    gone = [text for text in texts if text not in ids]
    if gone:
        with translated_errors(), engine.begin() as connection:
            for some in in_parts(gone):
                connection.execute(delete(parked).where(rows, parked.c.record.in_(some)))
    return ids


def blocking_record(engine: Engine, tables: PushTables, node: str) -> tuple[str, str] | None:
    """The record that blocks a lane and the reason of its refusal; None where no record blocks it."""
    entities = tables.entities
    query = (
        select(parked.c.record, parked.c.reason)
        .join(entities.table, cast(entities.key, String) == parked.c.owner)
        .where(refused_in(tables), parked.c.state == RefusalState.BLOCKING, entities.node == node)
        .order_by(parked.c.since)
    )
    with translated_errors(), engine.connect() as connection:
        row = connection.execute(query).first()
    return None if row is None else (row.record, row.reason)


def save_refusals(connection: Connection, tables: PushTables, refused: Mapping[Any, Refusal]) -> None:
    """Save the new refusals of records, in the transaction that flags them.

    A record that was skipped by a person while it was being sent stays skipped.
    """
    forget_refusals(connection, tables, list(refused), keep=RefusalState.SKIPPED)
    connection.execute(
        list_record(tables),
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
    connection: Connection, tables: PushTables, ids: Sequence[Any], *, keep: RefusalState
) -> None:
    """Delete the rows of these records, except those in the state to ``keep``."""
    rows = and_(listed_in(tables), parked.c.state != keep)
    for some in in_parts(ids):
        connection.execute(delete(parked).where(rows, parked.c.record.in_(as_texts(tables.id, some))))


def forget_refusals_of_owners(connection: Connection, service: Service, owners: Collection[Any]) -> None:
    """Delete the refusals of all records of these entities: their attempts are counted from zero again.

    Failed records are not concerned.
    """
    key = entity_table(service).key
    rows = and_(parked.c.service == service.name, parked.c.state.in_(REFUSED))
    for some in in_parts(list(owners)):
        connection.execute(delete(parked).where(rows, parked.c.owner.in_(as_texts(key, some))))
