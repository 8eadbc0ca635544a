"""Push flags: the result of a batch, written in one transaction that checks the lane's lease.

On PostgreSQL a batch that was accepted whole takes one statement and one round trip, which is most of the speed to
gain with a fast node. Where anything is unexpected that statement fails as a whole; the transaction of several
statements then finds out why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import TIMESTAMP, Connection, DateTime, Engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from workmesh_flows.adapters.store.engine import sqlstate, translated_errors
from workmesh_flows.adapters.store.flag_rows import flag_row, write_rows
from workmesh_flows.adapters.store.flagged_again import FlaggedBefore, count_again, write_expected_rows
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.refused_records import (
    Refusal,
    Refusals,
    RetryingRecord,
    forget_refusals,
    read_refusals,
    save_refusals,
)
from workmesh_flows.adapters.store.replays import forget_replays
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.adapters.store.statements.accepted import (
    DIVISION_BY_ZERO,
    accepted_batch,
    accepted_record,
)
from workmesh_flows.adapters.store.statements.flags import expected_before_push, write_flags
from workmesh_flows.adapters.store.values import as_stored
from workmesh_flows.errors import StoreError
from workmesh_flows.planning.push_times import push_times
from workmesh_flows.planning.refusals import RefusalState


class PushFlags:
    """Writes the results of one leased lane's batches, and keeps ``refusals`` up to date with them."""

    def __init__(
        self,
        engine: Engine,
        lease: LaneLease,
        tables: PushTables,
        refusals: Refusals,
        autocommit: Connection | None,
    ) -> None:
        """Called by :func:`push_flags`; ``autocommit`` is a connection that commits each statement by itself."""
        self._engine, self._lease, self._tables = engine, lease, tables
        self._autocommit = autocommit
        self._accepted = accepted_batch(lease, tables), accepted_record(lease, tables)
        self.refusals = refusals

    def reload_refusals(self) -> None:
        """Read the refused records again: some were replayed or skipped since the last read."""
        self.refusals = read_refusals(self._engine, self._tables, self._lease.lane.node)

    def write(
        self, pushed: Sequence[Any], refused: Mapping[Any, Refusal], now: datetime, *, answered: bool
    ) -> None:
        """Flag the records of one batch, in one transaction that checks the lease; raises LaneLost or NotFlagged.

        ``pushed`` are ids in the order in which they were sent. ``answered`` closes the lane's circuit breaker.
        """
        lease = self._lease
        times = push_times(now, lease.last_push_time, len(pushed))
        retrying = self.refusals.retrying
        replayed = self.refusals.replayed
        again = {**retrying, **replayed} if replayed else retrying
        recovered = [record_id for record_id in pushed if record_id in again] if again else []
        plain = not (refused or recovered) and answered and bool(pushed)
        if not (plain and self._write_in_one_statement(pushed, times)):
            batch = pushed, times, refused, now, recovered
            try:
                self._write_in_transaction(*batch, answered=answered)
            except FlaggedBefore:
                self._write_in_transaction(*batch, answered=answered, again=True)
        if times:
            lease.last_push_time = times[-1]
        if answered:
            lease.failures, lease.breaker = 0, "closed"
        for record_id in recovered:
            retrying.pop(record_id, None)
            replayed.pop(record_id, None)
        for record_id, refusal in refused.items():
            retrying.pop(record_id, None)
            if refusal.state is RefusalState.RETRYING:
                retrying[record_id] = RetryingRecord(refusal.owner, refusal.attempts, refusal.since, now)
            else:
                self.refusals.has_parked = True

    def _write_in_one_statement(self, pushed: Sequence[Any], times: Sequence[datetime]) -> bool:
        """Return False, with nothing written, where this is not possible: the lane was lost, or a record not found."""
        if self._autocommit is None or self._lease.lost.is_set():
            return False
        many, one = self._accepted
        statement = many if len(pushed) > 1 else one
        parameters = {
            "workmesh_ids": pushed[0] if statement is one else list(pushed),
            "workmesh_first": as_stored(times[0], self._tables.push_flags.time),
            "workmesh_last": times[-1],
            "workmesh_count": len(pushed),
            "workmesh_next": self._lease.next_batch,
        }
        try:
            with translated_errors():
                self._autocommit.execute(statement, parameters)
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, DBAPIError) and sqlstate(cause) == DIVISION_BY_ZERO:
                return False
            raise
        return True

    def _write_in_transaction(  # noqa: PLR0913 - each is one fact of the batch
        self,
        pushed: Sequence[Any],
        times: Sequence[datetime],
        refused: Mapping[Any, Refusal],
        now: datetime,
        recovered: Sequence[Any],
        *,
        answered: bool,
        again: bool = False,
    ) -> None:
        """Unless ``again``, raises FlaggedBefore, with nothing written, where a record was flagged before."""
        tables, flags = self._tables, self._tables.push_flags
        rows = [
            flag_row(flags, record_id, at, success=True) for record_id, at in zip(pushed, times, strict=True)
        ]
        rows += [
            flag_row(flags, record_id, now, success=False, error=refusal.reason)
            for record_id, refusal in refused.items()
        ]
        changes: dict[str, Any] = {
            "done": lanes.c.done + (0 if again else len(pushed)),
            "refused": lanes.c.refused + sum(refusal.counted for refusal in refused.values()),
            "next_batch": self._lease.next_batch,
        }
        changes |= {"last_push_time": times[-1]} if times else {}
        changes |= {"failures": 0, "breaker": "closed"} if answered else {}
        with translated_errors(), self._engine.begin() as connection:
            self._lease.advance(connection, **changes)
            write = write_flags(tables, flags)
            if again:
                successes = dict.fromkeys(refused, False) | dict.fromkeys(pushed, True)
                count_again(connection, self._lease, tables, "push", successes)
                write_rows(connection, write, rows)
            elif rows:
                write_expected_rows(connection, write.where(*expected_before_push(tables, write.table)), rows)
            if refused:
                save_refusals(connection, tables, refused)
            if recovered:
                # A row in this state is of a failure that was read from the node after it got the record again.
                forget_refusals(connection, tables, recovered, keep=RefusalState.FAILED)
                forget_replays(connection, tables, recovered)


@contextmanager
def push_flags(
    engine: Engine, lease: LaneLease, tables: PushTables, refusals: Refusals
) -> Iterator[PushFlags]:
    """The flags of one lane, whose refused records were read; on PostgreSQL over a connection of their own."""
    # A user-defined type may store times in a form to which no interval can be added.
    takes_interval = type(tables.push_flags.time.type) in {DateTime, TIMESTAMP, postgresql.TIMESTAMP}
    if engine.dialect.name != "postgresql" or not takes_interval:
        yield PushFlags(engine, lease, tables, refusals, None)
        return
    with translated_errors():
        connection = engine.connect()
    with connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        yield PushFlags(engine, lease, tables, refusals, autocommit)
