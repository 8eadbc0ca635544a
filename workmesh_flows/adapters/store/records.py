"""Records: read in pages, in order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Column, Engine, Result, Row, Select, select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from workmesh_flows.adapters.store.engine import refuses_value, translated_errors
from workmesh_flows.adapters.store.schema import services
from workmesh_flows.adapters.store.statements import moves
from workmesh_flows.adapters.store.statements import records as statements
from workmesh_flows.adapters.store.values import as_stored, as_utc
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.protocol import Protocol, Pull, Push
from workmesh_flows.domain.service import Service
from workmesh_flows.planning.batching import Sendable

Page: TypeAlias = Sequence[Sendable]
Mark: TypeAlias = tuple[Any, Any]
"""Where a page ended: the mark of the column that orders it, and the id."""


@dataclass(frozen=True, slots=True)
class PendingPage:
    """Records to be sent, and where they end."""

    items: Page
    mark: Mark | None


class Reader:
    """Reads a lane's records page by page; memory holds one page.

    No transaction stays open between two pages, and what a push function changes on a record is not saved.
    """

    def __init__(self, session: Session, service: Service, protocol: Protocol, node: str) -> None:
        """Made by :func:`reading`."""
        self._session = session
        self._service, self._protocol, self._node = service, protocol, node

    def count_pending(self, *, aside: bool = False) -> int:
        """Records that the node still has to receive; ``aside`` where some are set aside, which do not count."""
        statement = statements.count_pending(self._service, self._protocol, self._node, aside=aside)
        with translated_errors():
            count = self._session.scalar(statement)
        self._end()
        return int(count or 0)

    @contextmanager
    def pending_page(  # noqa: PLR0913 - each is one condition
        self,
        push: Push,
        *,
        size: int,
        after: Mark | None = None,
        only: Any = None,  # noqa: ANN401 - any key
        without: Collection[Any] = (),
        aside: bool = False,
    ) -> Iterator[PendingPage]:
        """A page of what the node still has to receive, in the order of (sort, id), behind the mark of the page before.

        Of all owners ``without`` some, or ``only`` of one. Its records are good for the length of the block.
        """
        shape = _Shape(self._protocol, rows=push.wants_rows, order=column_of(self._protocol.sort))
        statement = statements.pending(
            self._service,
            self._protocol,
            self._node,
            columns=shape.columns,
            limit=size,
            after=after,
            only=only,
            without=without,
            aside=aside,
        )
        # Closed at the end, which lets go of its objects and of what a function did with them.
        with Session(self._session.bind, autoflush=False, expire_on_commit=False) as session:
            with translated_errors():
                rows = shape.rows(session.execute(statement))
                session.commit()
            yield PendingPage(shape.sendables(rows), shape.mark(rows[-1]) if rows else after)
            with translated_errors():
                session.rollback()

    def pullable(
        self, pull: Pull, *, upto: datetime, size: int, behind: datetime | None = None
    ) -> Iterator[Page]:
        """Pages of what was pushed up to a time (and ``behind`` another) and not pulled yet, in the order it was pushed."""
        assert self._protocol.push is not None  # noqa: S101 - a pull without a push is no valid declaration
        time = column_of(self._protocol.push.flags.time)
        shape = _Shape(self._protocol, rows=isinstance(pull.fetch, Get), order=time)

        def statement(after: Mark | None) -> Select[Any]:
            pushed = statements.pullable(
                self._service,
                self._protocol,
                self._node,
                columns=shape.columns,
                upto=as_stored(upto, time),
                limit=size,
                after=after,
            )
            return pushed if behind is None else pushed.where(time > as_stored(behind, time))

        return self._pages(statement, shape, size)

    def count_pullable(self, *, upto: datetime) -> int:
        """Records on all pages of `pullable`."""
        assert self._protocol.push is not None  # noqa: S101 - a pull without a push is no valid declaration
        time = column_of(self._protocol.push.flags.time)
        statement = statements.count_pullable(
            self._service, self._protocol, self._node, upto=as_stored(upto, time)
        )
        with translated_errors():
            count = self._session.scalar(statement)
        self._end()
        return int(count or 0)

    def returned(self, pull: Pull, ids: Sequence[Any], *, after: datetime) -> Page:
        """Those of these records that are the lane's, pushed after a time, and not pulled yet."""
        assert self._protocol.push is not None  # noqa: S101 - a pull without a push is no valid declaration
        time = column_of(self._protocol.push.flags.time)
        shape = _Shape(self._protocol, rows=isinstance(pull.fetch, Get), order=time)
        statement = statements.returned(
            self._service,
            self._protocol,
            self._node,
            columns=shape.columns,
            ids=ids,
            after=as_stored(after, time),
        )
        with translated_errors():
            rows = shape.rows(self._session.execute(statement))
        self._end()
        return shape.sendables(rows)

    def pushed_at(self, record_id: Any) -> tuple[datetime | None, bool] | None:  # noqa: ANN401 - any key
        """Push time and whether it is flagged as pushed, of one record; None where it is not the lane's."""
        statement = statements.pushed_at(self._service, self._protocol, self._node, record_id)
        with translated_errors():
            try:
                row = self._session.execute(statement).one_or_none()
            except StatementError as error:
                if not refuses_value(error):
                    raise
                self._session.rollback()
                row = None  # no key of this column can be what the node said
        self._end()
        if row is None:
            return None
        time, success = row
        return (None if time is None else as_utc(time)), success is True

    def has_left(self, record_id: Any) -> bool:  # noqa: ANN401 - any key
        """Whether a record is one of an entity that left this node."""
        with translated_errors():
            owner = self._session.scalar(moves.owner_of(self._service, self._protocol, record_id))
            moved = moves.remaining(self._service, self._node, owner)
            left = owner is not None and self._session.execute(moved).first() is not None
        self._end()
        return left

    def _pages(
        self, statement: Callable[[Mark | None], Select[Any]], shape: _Shape, size: int
    ) -> Iterator[Page]:
        mark: Mark | None = None
        while True:
            with translated_errors():
                rows = shape.rows(self._session.execute(statement(mark)))
            self._end()
            if rows:
                mark = shape.mark(rows[-1])
                yield shape.sendables(rows)
                self._forget()
            if len(rows) < size:
                return

    def revision(self) -> int:
        """Rises each time an entity of the service gets another node, or what was set aside is to be sent again."""
        mine = services.c.service == self._service.name
        with translated_errors():
            revision = self._session.scalar(select(services.c.revision).where(mine))
        self._end()
        return revision or 0

    def _end(self) -> None:
        with translated_errors():
            self._session.commit()

    def _forget(self) -> None:
        """Let go of a page's objects, and of what a function did with them by way of their session."""
        self._session.expunge_all()
        with translated_errors():
            self._session.rollback()


class _Shape:
    """How a row of a page is laid out: order and id first, the record, its owner, and what it follows where it does."""

    def __init__(self, protocol: Protocol, *, rows: bool, order: Column[Any]) -> None:
        self._wire = statements.wire_columns(protocol) if rows else []
        self._names = [str(column.name) for column in self._wire]
        self._rows = rows
        content = self._wire if rows else [protocol.record]
        order_mark = statements.mark(order).label("workmesh_order")
        self.columns = [order_mark, column_of(protocol.id).label("workmesh_key"), *content]

    def rows(self, result: Result[Any]) -> Sequence[Row[Any]]:
        """The rows of a page; an object whose model loads a collection by a join comes in several, and is one."""
        return (result if self._rows else result.unique()).all()

    def mark(self, row: Any) -> Mark:  # noqa: ANN401 - a result row
        return row[0], row[1]

    def sendables(self, rows: Sequence[Any]) -> list[Sendable]:
        """The rows as records to be sent, or to be pulled."""
        owner = len(self.columns)
        if not rows:
            return []
        names = self._names
        if self._rows:
            items = [
                Sendable(dict(zip(names, row[2:owner], strict=True)), row[1], row[owner]) for row in rows
            ]
        else:
            items = [Sendable(row[2], row[1], row[owner]) for row in rows]
        if len(rows[0]) > owner + 1:
            for item, row in zip(items, rows, strict=True):
                item.depends_on = None if row[-1] is True else row[-2]
        return items


@contextmanager
def reading(engine: Engine, service: Service, protocol: Protocol, node: str) -> Iterator[Reader]:
    """A reader for one lane."""
    with Session(engine, autoflush=False, expire_on_commit=False) as session:
        yield Reader(session, service, protocol, node)
