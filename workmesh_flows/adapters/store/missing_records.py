"""Missing records: they were pushed, but a node that was asked for them does not have them.

They are saved for each node that was asked, with the push time that they had: after another push, it is asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Engine,
    FromClause,
    String,
    and_,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.schema import ensure_row, lanes, missing, services
from workmesh_flows.adapters.store.statements import missing as statements
from workmesh_flows.adapters.store.statements.page_order import Mark
from workmesh_flows.adapters.store.values import as_stored, as_utc
from workmesh_flows.domain.lane import Lane

AT_ONCE = 1_000
"""Records in one statement."""


class Pushed(NamedTuple):
    """A pushed record without a result, when it was pushed, and its id as the database casts it to text."""

    id: Any
    time: datetime
    text: str


class MissingRecord(NamedTuple):
    """A record that the node of its entity does not have."""

    id: Any
    entity: Any
    node: str


def last_push_times(engine: Engine, lane: Lane) -> dict[str, datetime]:
    """The time of the last push of the lane's protocol to each node that any record was pushed to."""
    of_protocol = lanes.c.service == lane.service, lanes.c.protocol == lane.protocol
    pushes = select(lanes.c.node, lanes.c.last_push_time).where(
        *of_protocol, lanes.c.direction == "push", lanes.c.last_push_time.is_not(None)
    )
    with translated_errors(), engine.connect() as connection:
        return dict(connection.execute(pushes).all())


def was_asked_for(engine: Engine, tables: PullTables, node: str, record_id: Any) -> bool:  # noqa: ANN401 - any key
    """Whether a node was asked for a record that other nodes do not have, and did not have it either."""
    row = missing.c.node == node, missing.c.record == cast(literal(record_id, tables.id.type), String)
    with translated_errors(), engine.connect() as connection:
        known = connection.execute(select(missing.c.record).where(_of_protocol(tables), *row))
        return known.first() is not None


def missing_records(engine: Engine, tables: PullTables) -> list[MissingRecord]:
    """The records of a protocol that the nodes of their entities do not have, as known from the last pulls."""
    saved = select(missing.c.record, missing.c.node, missing.c.push_time).where(_of_protocol(tables))
    found: list[MissingRecord] = []
    with translated_errors(), engine.connect() as connection:
        times = {(record, node): time for record, node, time in connection.execute(saved)}
        texts = sorted({record for record, _ in times})
        for start in range(0, len(texts), AT_ONCE):
            rows = connection.execute(statements.missing_at_nodes(tables, texts[start : start + AT_ONCE]))
            found += [
                MissingRecord(record_id, entity, node)
                for record_id, time, text, entity, node in rows
                if times.get((text, node)) == as_utc(time)
            ]
    return found


def _of_protocol(tables: PullTables, table: FromClause = missing) -> ColumnElement[bool]:
    return and_(table.c.service == tables.service.name, table.c.protocol == tables.protocol.name)


def _pushed(rows: Iterable[Any]) -> list[Pushed]:
    return [Pushed(record_id, as_utc(time), text) for record_id, time, text in rows]


@dataclass(frozen=True, slots=True)
class MissingRecords:
    """The missing records of one leased pull lane."""

    engine: Engine
    lease: LaneLease
    tables: PullTables

    def without_result(self, *, upto: datetime, above: datetime | None = None) -> Iterator[list[Pushed]]:
        """Pages of the lane's records without any result that were pushed up to a time, and after another if given."""
        time = self.tables.push_flags.time
        after: Mark | None = None
        while True:
            statement = statements.without_result(
                self.tables,
                self.lease.lane.node,
                upto=as_stored(upto, time),
                above=None if above is None else as_stored(above, time),
                limit=AT_ONCE,
                after=after,
            )
            with translated_errors(), self.engine.connect() as connection:
                rows = connection.execute(statement).all()
            if rows:
                after = (rows[-1][3], rows[-1][0])
                yield _pushed(row[:3] for row in rows)
            if len(rows) < AT_ONCE:
                return

    def missing_elsewhere(self, *, upto: datetime) -> Iterator[list[Pushed]]:
        """Pages of records that other nodes do not have, pushed up to a time; without those that this one was asked for."""
        here, other = missing.alias(), missing
        asked = select(here.c.record).where(
            _of_protocol(self.tables, here),
            here.c.node == self.lease.lane.node,
            here.c.record == other.c.record,
            here.c.push_time == other.c.push_time,
        )
        last = ""
        while True:
            page = (
                select(other.c.record, func.max(other.c.push_time, type_=other.c.push_time.type))
                .where(_of_protocol(self.tables), other.c.node != self.lease.lane.node)
                .where(other.c.push_time <= upto, other.c.record > last, ~asked.exists())
                .group_by(other.c.record)
                .order_by(other.c.record)
                .limit(AT_ONCE)
            )
            with translated_errors(), self.engine.connect() as connection:
                times = dict(connection.execute(page).all())
            if times:
                last = max(times)
                pushed = self._pushed(statements.key_text(self.tables).in_(times))
                yield [one for one in pushed if times[one.text] == one.time]
            if len(times) < AT_ONCE:
                return

    def still_without_result(self, ids: Sequence[Any]) -> list[Pushed]:
        """Those of these records that were pushed and have no result now, whatever their entity; at most 1,000."""
        return self._pushed(self.tables.id.in_(ids))

    def asked(self, pushed: Collection[Pushed], node: str | None = None) -> dict[Pushed, bool]:
        """Those of these pushes that a node, by default the lane's, is known not to have; whether they are pending again."""
        known = select(missing.c.record, missing.c.push_time, missing.c.again).where(
            _of_protocol(self.tables),
            missing.c.node == (node or self.lease.lane.node),
            missing.c.record.in_([one.text for one in pushed]),
        )
        with translated_errors(), self.engine.connect() as connection:
            found = {record: (time, again) for record, time, again in connection.execute(known)}
        return {one: found[one.text][1] for one in pushed if found.get(one.text, (None,))[0] == one.time}

    def save(self, pushed: Sequence[Pushed]) -> None:
        """Save that the lane's node does not have these pushes; what is known of earlier pushes is replaced."""
        if not pushed:
            return
        times = {one.text: one.time for one in pushed}
        rows = and_(self._in_lane, missing.c.record.in_(times))
        with translated_errors(), self.engine.begin() as connection:
            self.lease.advance(connection)
            again = set(connection.scalars(select(missing.c.record).where(rows, missing.c.again.is_(True))))
            connection.execute(delete(missing).where(rows))
            lane = self.lease.lane
            key = {"service": lane.service, "protocol": lane.protocol, "node": lane.node}
            connection.execute(
                insert(missing),
                [
                    key | {"record": text, "push_time": at, "again": text in again}
                    for text, at in times.items()
                ],
            )

    def make_pending(self, pushed: Sequence[Pushed]) -> int:
        """Make records pending again, once for this node; return their number.

        A push that runs meanwhile reads its lane from the beginning again, so that they keep their order.
        """
        if not pushed:
            return 0
        service = self.tables.service.name
        with translated_errors():
            ensure_row(self.engine, services, service=service)
            with self.engine.begin() as connection:
                row = services.c.service == service
                connection.execute(update(services).where(row).values(revision=services.c.revision + 1))
                self.lease.advance(connection)
                ids = [one.id for one in pushed]
                number = connection.execute(statements.make_pending(self.tables, ids)).rowcount
                chosen = and_(self._in_lane, missing.c.record.in_([one.text for one in pushed]))
                connection.execute(update(missing).where(chosen).values(again=True))
        return number

    def forget(self) -> None:
        """Delete what is saved for the lane of records that were deleted, or have a result."""
        last = ""
        while True:
            page = select(missing.c.record).where(self._in_lane, missing.c.record > last)
            with translated_errors(), self.engine.connect() as connection:
                texts = list(connection.scalars(page.order_by(missing.c.record).limit(AT_ONCE)))
            if texts:
                last = texts[-1]
                self._forget(texts)
            if len(texts) < AT_ONCE:
                return

    def _forget(self, texts: Sequence[str]) -> None:
        with translated_errors(), self.engine.connect() as connection:
            kept = set(connection.scalars(statements.pending_of(self.tables, texts)))
        # Read after those that are pending, because a push may run meanwhile.
        kept.update(one.text for one in self._pushed(statements.key_text(self.tables).in_(texts)))
        if done := [text for text in texts if text not in kept]:
            with translated_errors(), self.engine.begin() as connection:
                connection.execute(delete(missing).where(self._in_lane, missing.c.record.in_(done)))

    def _pushed(self, condition: ColumnElement[bool]) -> list[Pushed]:
        found = statements.pushed_without_result(self.tables).where(condition)
        with translated_errors(), self.engine.connect() as connection:
            return _pushed(connection.execute(found))

    @property
    def _in_lane(self) -> ColumnElement[bool]:
        return and_(_of_protocol(self.tables), missing.c.node == self.lease.lane.node)
