"""Failed records: their nodes accepted them and could not process them.

They are listed beside the refused records, from results (in the transaction that flags them) and from what a node lists
(in the transaction that saves how far its list was read).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    String,
    and_,
    bindparam,
    cast,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import StatementError

from workmesh_flows.adapters.store.engine import refuses_value, translated_errors
from workmesh_flows.adapters.store.keys import as_texts, in_parts, is_one_of, parse_key
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PullTables, PushTables
from workmesh_flows.adapters.store.schema import failure_marks, parked
from workmesh_flows.adapters.store.statements.counts import failed_counts
from workmesh_flows.adapters.store.statements.refused import failed_in, list_record, listed_in
from workmesh_flows.adapters.store.values import stored_text
from workmesh_flows.domain.lane import Lane
from workmesh_flows.planning.failures import after_listed
from workmesh_flows.planning.refusals import RefusalState


@dataclass(frozen=True, slots=True)
class _Listed:
    """A record that a node lists as failed: its key as text, its owner, and whether it is new as a failed one."""

    text: str
    owner: str
    is_new: bool


def save_failed_results(
    connection: Connection, tables: PullTables, results: Mapping[Any, object], now: datetime
) -> None:
    """List the records whose result is a text, the reason, as failed, and no longer those that have a result.

    Call it in the transaction that flags them. A record that was made pending meanwhile is not listed.
    """
    reasons = {record_id: reason for record_id, reason in results.items() if isinstance(reason, str)}
    known = connection.execute(select(literal(1)).where(failed_in(tables)).limit(1)).first() is not None
    if known and (done := [record_id for record_id in results if record_id not in reasons]):
        for some in in_parts(done):
            named = parked.c.record.in_(as_texts(tables.id, some))
            connection.execute(delete(parked).where(failed_in(tables), named))
    if not reasons:
        return
    given = bindparam("workmesh_id", type_=tables.id.type)
    values = [
        {
            "workmesh_id": record_id,
            "workmesh_state": RefusalState.FAILED,
            "workmesh_attempts": 1,
            "workmesh_reason": stored_text(reason),
            "workmesh_since": now,
        }
        for record_id, reason in reasons.items()
    ]
    if known:
        same = parked.c.record == cast(given, String)
        connection.execute(
            update(parked).where(failed_in(tables), same).values(reason=bindparam("workmesh_reason")), values
        )
    connection.execute(list_record(tables, tables.push_flags.success.is_(True)), values)


def read_mark(engine: Engine, lane: Lane) -> str | None:
    """How far the failures of a lane were read; None where none were."""
    with translated_errors(), engine.connect() as connection:
        mark: str | None = connection.scalar(select(failure_marks.c.mark).where(_mark_of(lane)))
    return mark


def save_listed_failures(  # noqa: PLR0913, PLR0917 - each is one fact of the page
    engine: Engine,
    lease: LaneLease,
    tables: PushTables,
    reasons: Mapping[Any, str],
    mark: str | None,
    now: datetime,
) -> dict[str, str]:
    """Save a page of a node's failures (reason by id, as the node writes it) and the mark behind it, in one transaction.

    Returns the reasons of those that were not known as failed, by id as text. Records that are not at this node (any
    more) are ignored; with ``mark`` None the mark stays. Raises LaneLost or StoreError.
    """
    by_id = dict(_parsed(tables, reasons))
    found: dict[Any, _Listed] = {}
    for some in in_parts(list(by_id)):
        found |= _find_listed(engine, tables, lease.lane.node, some)
    with translated_errors(), engine.begin() as connection:
        lease.advance(connection)
        for record_id, each in found.items():
            _save_failure(connection, tables, each, by_id[record_id], now)
        if mark is not None:
            row = {name: getattr(lease.lane, name) for name in ("service", "protocol", "node")}
            connection.execute(delete(failure_marks).where(_mark_of(lease.lane)))
            connection.execute(insert(failure_marks).values(**row, mark=mark))
    return {str(record_id): by_id[record_id] for record_id, each in found.items() if each.is_new}


def forget_ended_failures(engine: Engine, tables: PushTables) -> None:
    """Delete the failed ones among the listed records that were deleted, or whose result another program has written."""
    with translated_errors(), engine.connect() as connection:
        texts = list(connection.scalars(select(parked.c.record).where(failed_in(tables))))
    pulled = tables.pull_flags
    for some in in_parts(texts):
        here = select(cast(tables.id, String)).where(is_one_of(tables.id, some))
        if pulled is not None:
            here = here.where(pulled.success.is_not(True))
        with translated_errors(), engine.begin() as connection:
            remaining = set(connection.scalars(here))
            gone = [text for text in some if text not in remaining]
            if gone:
                connection.execute(delete(parked).where(failed_in(tables), parked.c.record.in_(gone)))


def _parsed(tables: PushTables, reasons: Mapping[Any, str]) -> Iterator[tuple[Any, str]]:
    """The reasons by key; what cannot be a key names no record."""
    for written, reason in reasons.items():
        try:
            yield parse_key(tables.id, written), reason
        except ValueError:
            continue


def _find_listed(engine: Engine, tables: PushTables, node: str, ids: Sequence[Any]) -> dict[Any, _Listed]:
    """Those of these records that are at the node and that its list makes failed, by id.

    Where the database takes one of the ids as no key of the column, they are looked up one by one.
    """
    try:
        with engine.connect() as connection:
            return dict(_at_node(connection, tables, node, ids))
    except StatementError as error:
        if not refuses_value(error):
            with translated_errors():
                raise
    if len(ids) == 1:
        return {}
    found: dict[Any, _Listed] = {}
    for record_id in ids:
        found |= _find_listed(engine, tables, node, [record_id])
    return found


def _at_node(
    connection: Connection, tables: PushTables, node: str, ids: Sequence[Any]
) -> Iterator[tuple[Any, _Listed]]:
    key, joined = tables.id, tables.joined
    pulled = literal(None) if tables.pull_flags is None else tables.pull_flags.success
    query = (
        select(key, cast(key, String), cast(joined.owner, String), tables.push_flags.success, pulled)
        .select_from(joined.source)
        .where(joined.node == node, key.in_(ids))
    )
    rows = connection.execute(query).all()
    rows_in_list = select(parked.c.record, parked.c.state).where(
        listed_in(tables), parked.c.record.in_([row[1] for row in rows])
    )
    states = dict(connection.execute(rows_in_list).all())
    for record_id, text, owner, pushed, is_pulled in rows:
        before = RefusalState(states[text]) if text in states else None
        if after_listed(
            before, has_pull=tables.pull_flags is not None, pushed=pushed is True, pulled=is_pulled is True
        ):
            yield record_id, _Listed(text, owner, is_new=before is not RefusalState.FAILED)


def _save_failure(
    connection: Connection, tables: PushTables, listed: _Listed, reason: str, now: datetime
) -> None:
    row = and_(listed_in(tables), parked.c.record == listed.text)
    values: dict[str, Any] = {"state": RefusalState.FAILED, "attempts": 1, "reason": stored_text(reason)}
    values |= {"since": now} if listed.is_new else {}
    if connection.execute(update(parked).where(row).values(values)).rowcount:
        return
    connection.execute(
        insert(parked).values(
            service=tables.service.name,
            protocol=tables.protocol.name,
            record=listed.text,
            owner=listed.owner,
            **values,
        )
    )


def _mark_of(lane: Lane) -> ColumnElement[bool]:
    return and_(
        failure_marks.c.service == lane.service,
        failure_marks.c.protocol == lane.protocol,
        failure_marks.c.node == lane.node,
    )


def count_failures(engine: Engine, tables: PushTables) -> Counter[tuple[str | None, bool]]:
    """The number of failed records that were pushed, by node and by whether they have an owner."""
    counts = Counter[tuple[str | None, bool]]()
    with translated_errors(), engine.connect() as connection:
        texts = list(connection.scalars(select(parked.c.record).where(failed_in(tables))))
        for some in in_parts(texts):
            for row in connection.execute(failed_counts(tables, some)):
                counts[row.node, bool(row.owned)] += row.failed
    return counts
