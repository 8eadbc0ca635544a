"""Push flags: what became of a batch, written in one transaction that checks the lane.

PostgreSQL takes a batch that was accepted whole in one statement and one round trip, most of what there is to win
for a fast node. That statement fails as a whole where anything is not as expected; the careful way then says what.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    Connection,
    DateTime,
    Engine,
    Select,
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

from workmesh_flows.adapters.database import translated_errors
from workmesh_flows.adapters.lanes import Hold
from workmesh_flows.adapters.schema import as_stored, lanes
from workmesh_flows.domain.columns import column_of, table_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.planning.delivery import TICK

_DIVISION_BY_ZERO = "22012"
"""SQLSTATE that the statement gives itself where it did not write what it was to write."""


class AtOnce:
    """Flags batches of one lane as pushed, each in one statement of PostgreSQL."""

    def __init__(self, connection: Connection, hold: Hold, protocol: Protocol) -> None:
        """Made by :func:`at_once`; the connection commits by itself."""
        assert protocol.push is not None  # noqa: S101 - a push lane exists only for a declared push
        self._connection = connection
        self._statement = accepted_batch(hold, protocol)
        self._time = column_of(protocol.push.flags.time)

    def flag(self, ids: Sequence[Any], times: Sequence[datetime]) -> bool:
        """Flag these records as pushed, at times of which each is a tick behind the one before.

        False, and nothing was written, where that is not to be: the lane is another run's, or records are not there.
        """
        parameters = {
            "workmesh_ids": ids,
            "workmesh_first": as_stored(times[0], self._time),
            "workmesh_last": times[-1],
            "workmesh_count": len(ids),
        }
        try:
            with translated_errors():
                self._connection.execute(self._statement, parameters)
        except Exception as error:
            cause = error.__cause__
            if isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", "") == _DIVISION_BY_ZERO:
                return False
            raise
        return True


@contextmanager
def at_once(engine: Engine, hold: Hold, protocol: Protocol) -> Iterator[AtOnce | None]:
    """The fast way for one lane, over a connection of its own; None where the database or the column has none."""
    assert protocol.push is not None  # noqa: S101 - a push lane exists only for a declared push
    # A type of the user's may keep times in a form that no interval can be added to.
    counts_on = type(column_of(protocol.push.flags.time).type) in {DateTime, TIMESTAMP, postgresql.TIMESTAMP}
    if engine.dialect.name != "postgresql" or not counts_on:
        yield None
        return
    with translated_errors():
        connection = engine.connect()
    with connection:
        yield AtOnce(connection.execution_options(isolation_level="AUTOCOMMIT"), hold, protocol)


def accepted_batch(hold: Hold, protocol: Protocol) -> Select[Any]:
    """Flag a batch and advance the lane; divides by zero, which undoes all of it, where not every record was found.

    The lane's row comes first, as everywhere: whoever wants to take the lane waits for the end of the statement.
    """
    assert protocol.push is not None  # noqa: S101 - a push lane exists only for a declared push
    flags, key = protocol.push.flags, column_of(protocol.id)
    time, success, error = (column_of(flag) for flag in flags.columns)
    mine = (
        update(lanes)
        .where(hold.mine)
        .values(last_push_time=bindparam("workmesh_last", type_=lanes.c.last_push_time.type))
        .returning(literal_column("1"))
        .cte("workmesh_mine")
    )
    given = (
        func.unnest(bindparam("workmesh_ids", type_=ARRAY(key.type)))
        .table_valued(
            column("id", key.type),
            with_ordinality="at",
            name="workmesh_given",
            joins_implicitly=True,
        )
        .render_derived()
    )
    ticks = (given.c.at - 1) * literal_column(f"interval '{TICK // timedelta(microseconds=1)} microsecond'")
    flagged = (
        update(table_of(protocol.record))
        .where(key == given.c.id, exists(select(literal_column("1")).select_from(mine)))
        .values({time: bindparam("workmesh_first", type_=time.type) + ticks, success: True, error: None})
        .returning(literal_column("1"))
        .cte("workmesh_flagged")
    )
    found = select(func.count()).select_from(flagged).scalar_subquery()
    expected = bindparam("workmesh_count", type_=BigInteger)
    return select(literal_column("1") / case((found == expected, 1), else_=0))
