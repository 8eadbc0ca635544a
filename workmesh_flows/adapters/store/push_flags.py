"""Push flags: what became of a batch, written in one transaction that checks the lane.

PostgreSQL takes a batch that was accepted whole in one statement and one round trip, most of what there is to win
for a fast node. That statement fails as a whole where anything is not as expected; the careful way then says what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Integer,
    Select,
    and_,
    any_,
    bindparam,
    case,
    column,
    exists,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.flag_rows import flag_row, write_rows
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.refused_records import (
    Refusal,
    forget_refusals,
    read_refusals,
    save_refusals,
)
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.adapters.store.statements.records import write_flags
from workmesh_flows.adapters.store.values import as_stored
from workmesh_flows.domain.columns import column_of, table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import StoreError
from workmesh_flows.planning.batching import TICK, push_times
from workmesh_flows.planning.refusals import RefusalState

_DIVISION_BY_ZERO = "22012"
"""SQLSTATE that the statement gives itself where it did not write what it was to write."""


class PushFlags:
    """Writes what became of the batches of one lane that is held; what it knows of refused records is kept up to date."""

    def __init__(
        self, engine: Engine, lease: LaneLease, service: Service, protocol: Protocol, fast: Connection | None
    ) -> None:
        """Made by :func:`push_flags`; ``fast`` commits by itself."""
        assert protocol.push is not None  # noqa: S101 - a push lane exists only for a declared push
        self._engine, self._lease = engine, lease
        self._service, self._protocol, self._flags = service, protocol, protocol.push.flags
        self._fast = fast
        self._accepted = accepted_batch(lease, protocol), accepted_record(lease, protocol)
        self.refusals = read_refusals(engine, service, protocol)

    def reload_refusals(self) -> None:
        """Read again which records are refused: a person decided about some of them meanwhile."""
        self.refusals = read_refusals(self._engine, self._service, self._protocol)

    def write(
        self, pushed: Sequence[Any], refused: Mapping[Any, Refusal], now: datetime, *, answered: bool
    ) -> None:
        """Flag the records of one batch, in one transaction that checks the lane; raises LaneLost or NotFlagged.

        ``pushed`` are ids in the order they were sent. ``answered`` closes the lane's circuit breaker.
        """
        lease = self._lease
        times = push_times(now, lease.last_push_time, len(pushed))
        retrying = self.refusals.retrying
        recovered = [record_id for record_id in pushed if record_id in retrying] if retrying else []
        plain = not (refused or recovered) and answered and bool(pushed)
        if not (plain and self._write_at_once(pushed, times)):
            self._write_carefully(pushed, times, refused, now, recovered, answered=answered)
        if times:
            lease.last_push_time = times[-1]
        if answered:
            lease.failures, lease.breaker = 0, "closed"
        for record_id in recovered:
            del retrying[record_id]
        for record_id, refusal in refused.items():
            retrying.pop(record_id, None)
            if refusal.state is RefusalState.RETRYING:
                retrying[record_id] = refusal.attempts, refusal.since
            else:
                self.refusals.has_parked = True

    def _write_at_once(self, pushed: Sequence[Any], times: Sequence[datetime]) -> bool:
        """False, and nothing was written, where that is not to be: a lane that was lost, records that are not there."""
        if self._fast is None or self._lease.lost.is_set():
            return False
        many, one = self._accepted
        statement = many if len(pushed) > 1 else one
        parameters = {
            "workmesh_ids": pushed[0] if statement is one else list(pushed),
            "workmesh_first": as_stored(times[0], column_of(self._flags.time)),
            "workmesh_last": times[-1],
            "workmesh_count": len(pushed),
            "workmesh_next": self._lease.next_batch,
        }
        try:
            with translated_errors():
                self._fast.execute(statement, parameters)
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", "") == _DIVISION_BY_ZERO:
                return False
            raise
        return True

    def _write_carefully(  # noqa: PLR0913 - each is one fact of the batch
        self,
        pushed: Sequence[Any],
        times: Sequence[datetime],
        refused: Mapping[Any, Refusal],
        now: datetime,
        recovered: Sequence[Any],
        *,
        answered: bool,
    ) -> None:
        flags, protocol = self._flags, self._protocol
        rows = [
            flag_row(flags, record_id, at, success=True) for record_id, at in zip(pushed, times, strict=True)
        ]
        rows += [
            flag_row(flags, record_id, now, success=False, error=refusal.reason)
            for record_id, refusal in refused.items()
        ]
        changes: dict[str, Any] = {
            "done": lanes.c.done + len(pushed),
            "refused": lanes.c.refused + len(refused),
            "next_batch": self._lease.next_batch,
        }
        changes |= {"last_push_time": times[-1]} if times else {}
        changes |= {"failures": 0, "breaker": "closed"} if answered else {}
        with translated_errors(), self._engine.begin() as connection:
            self._lease.advance(connection, **changes)
            if rows:
                write_rows(connection, write_flags(protocol, flags), rows)
            if refused:
                save_refusals(connection, self._service, protocol, refused)
            if recovered:
                forget_refusals(connection, self._service, protocol, recovered)


@contextmanager
def push_flags(engine: Engine, lease: LaneLease, service: Service, protocol: Protocol) -> Iterator[PushFlags]:
    """The flags of one lane; on PostgreSQL over a connection of its own."""
    assert protocol.push is not None  # noqa: S101 - a push lane exists only for a declared push
    # A type of the user's may keep times in a form that no interval can be added to.
    counts_on = type(column_of(protocol.push.flags.time).type) in {DateTime, TIMESTAMP, postgresql.TIMESTAMP}
    if engine.dialect.name != "postgresql" or not counts_on:
        yield PushFlags(engine, lease, service, protocol, None)
        return
    with translated_errors():
        connection = engine.connect()
    with connection:
        fast = connection.execution_options(isolation_level="AUTOCOMMIT")
        yield PushFlags(engine, lease, service, protocol, fast)


def accepted_batch(lease: LaneLease, protocol: Protocol) -> Select[Any]:
    """Flag a batch and advance the lane; divides by zero, which undoes all of it, where not every record was found.

    The lane's row comes first, as everywhere: whoever wants to take the lane waits for the end of the statement.
    """
    key, ids = column_of(protocol.id), bindparam("workmesh_ids", type_=ARRAY(column_of(protocol.id).type))
    given = (
        func.unnest(ids)
        .table_valued(
            column("id", key.type), with_ordinality="at", name="workmesh_given", joins_implicitly=True
        )
        .render_derived()
    )
    ticks = (given.c.at - 1) * literal_column(f"interval '{TICK // timedelta(microseconds=1)} microsecond'")
    # The second condition says the same once more: with it the index is searched once for all of them.
    return _accepted(lease, protocol, and_(key == given.c.id, key == any_(ids)), ticks)


def accepted_record(lease: LaneLease, protocol: Protocol) -> Select[Any]:
    """The same for a batch of one record, whose id is all of the ids."""
    key = column_of(protocol.id)
    return _accepted(lease, protocol, key == bindparam("workmesh_ids", type_=key.type), None)


def _accepted(
    lease: LaneLease, protocol: Protocol, these: ColumnElement[bool], ticks: ColumnElement[Any] | None
) -> Select[Any]:
    assert protocol.push is not None  # noqa: S101 - a push lane exists only for a declared push
    time, success, error = (column_of(flag) for flag in protocol.push.flags.columns)
    mine = (
        update(lanes)
        .where(lease.mine)
        .values(
            last_push_time=bindparam("workmesh_last", type_=lanes.c.last_push_time.type),
            done=lanes.c.done + bindparam("workmesh_count", type_=BigInteger),
            next_batch=bindparam("workmesh_next", type_=Integer),
            failures=0,
            breaker="closed",
        )
        .returning(literal_column("1"))
        .cte("workmesh_mine")
    )
    first = bindparam("workmesh_first", type_=time.type)
    flagged = (
        update(table_of(protocol.record))
        .where(these, exists(select(literal_column("1")).select_from(mine)))
        .values({time: first if ticks is None else first + ticks, success: True, error: None})
        .returning(literal_column("1"))
        .cte("workmesh_flagged")
    )
    found = select(func.count()).select_from(flagged).scalar_subquery()
    expected = bindparam("workmesh_count", type_=BigInteger)
    return select(literal_column("1") / case((found == expected, 1), else_=0))
