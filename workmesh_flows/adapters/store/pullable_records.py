"""Records of a lane whose results can be pulled, read page by page and in push order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from workmesh_flows.adapters.store.engine import refuses_value, translated_errors
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.record_pages import Page, RowLayout
from workmesh_flows.adapters.store.statements import moves
from workmesh_flows.adapters.store.statements import pullable as statements
from workmesh_flows.adapters.store.statements.page_order import Mark
from workmesh_flows.adapters.store.values import as_stored, as_utc
from workmesh_flows.domain.calls import Get


class PullableReader:
    """Reads the records of one lane that were pushed; memory holds one page.

    No transaction stays open between two pages, and what a pull function changes on a record is not saved.
    """

    def __init__(self, session: Session, tables: PullTables, node: str) -> None:
        """Called by :func:`reading_pullable`."""
        self._session, self._tables, self._node = session, tables, node
        self._time = tables.push_flags.time
        self._layout = RowLayout(tables, rows=isinstance(tables.pull.fetch, Get), order=self._time)

    def pages(self, *, upto: datetime, size: int, after: datetime | None = None) -> Iterator[Page]:
        """Pages of records pushed up to a time, and ``after`` another where given, that are not pulled yet."""
        mark: Mark | None = None
        while True:
            statement = statements.pullable(
                self._tables,
                self._node,
                columns=self._layout.columns,
                upto=as_stored(upto, self._time),
                limit=size,
                after=mark,
            )
            if after is not None:
                statement = statement.where(self._time > as_stored(after, self._time))
            with translated_errors():
                rows = self._layout.rows(self._session.execute(statement))
            self._end()
            if rows:
                mark = self._layout.mark(rows[-1])
                yield self._layout.sendables(rows)
                self._discard_page()
            if len(rows) < size:
                return

    def count(self, *, upto: datetime) -> int:
        """The number of records on all pages up to a time."""
        statement = statements.count_pullable(self._tables, self._node, upto=as_stored(upto, self._time))
        with translated_errors():
            count = self._session.scalar(statement)
        self._end()
        return int(count or 0)

    def returned(self, ids: Sequence[Any], *, after: datetime) -> Page:
        """Those of these records that are in the lane, were pushed after a time, and are not pulled yet."""
        statement = statements.returned(
            self._tables,
            self._node,
            columns=self._layout.columns,
            ids=ids,
            after=as_stored(after, self._time),
        )
        with translated_errors():
            rows = self._layout.rows(self._session.execute(statement))
        self._end()
        return self._layout.sendables(rows)

    def pushed_at(self, record_id: Any) -> tuple[datetime | None, bool] | None:  # noqa: ANN401 - any key
        """Push time of one record and whether it is flagged as pushed; None where it is not in the lane."""
        statement = statements.pushed_at(self._tables, self._node, record_id)
        with translated_errors():
            try:
                row = self._session.execute(statement).one_or_none()
            except StatementError as error:
                if not refuses_value(error):
                    raise
                self._session.rollback()
                row = None  # the value that the node named cannot be a key of this column
        self._end()
        if row is None:
            return None
        time, success = row
        return (None if time is None else as_utc(time)), success is True

    def has_left(self, record_id: Any) -> bool:  # noqa: ANN401 - any key
        """Whether the entity of a record was moved away from this node at some time."""
        with translated_errors():
            owner = self._session.scalar(moves.owner_of(self._tables, record_id))
            moved = moves.moves_away(self._tables.service, self._node, owner)
            left = owner is not None and self._session.execute(moved).first() is not None
        self._end()
        return left

    def _end(self) -> None:
        with translated_errors():
            self._session.commit()

    def _discard_page(self) -> None:
        """Discard a page's objects, and what a pull function did with them by way of their session."""
        self._session.expunge_all()
        with translated_errors():
            self._session.rollback()


@contextmanager
def reading_pullable(engine: Engine, tables: PullTables, node: str) -> Iterator[PullableReader]:
    """A reader for one lane."""
    with Session(engine, autoflush=False, expire_on_commit=False) as session:
        yield PullableReader(session, tables, node)
