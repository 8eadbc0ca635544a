"""Records of a lane whose results can be pulled, read page by page and in push order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Engine, Select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from workmesh_flows.adapters.store.engine import refuses_value, translated_errors
from workmesh_flows.adapters.store.open_transactions import OpenTransactions
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.record_pages import Page, RowLayout
from workmesh_flows.adapters.store.statements import moves
from workmesh_flows.adapters.store.statements import pullable as statements
from workmesh_flows.adapters.store.statements.page_order import Mark
from workmesh_flows.adapters.store.unreadable_rows import read_page
from workmesh_flows.adapters.store.values import as_stored, as_utc
from workmesh_flows.domain.calls import Get


class PullableReader:
    """Reads the records of one lane that were pushed; memory holds one page.

    No transaction stays open between two pages, and what a pull function changes on a record is not saved.
    """

    def __init__(self, session: Session, tables: PullTables, node: str) -> None:
        """Called by :func:`reading_pullable`."""
        self._session, self._tables, self._node = session, tables, node
        self.transactions = OpenTransactions()
        """Those that a pull function opens."""
        self._time = tables.push_flags.time
        # A node is asked by id: nothing else is read, unless a user's function gets the record.
        payload: Mapping[str, Column[Any]] | None = {} if isinstance(tables.pull.fetch, Get) else None
        self._layout = RowLayout(tables, payload=payload, order=self._time)

    def pages(self, *, upto: datetime, size: int, after: datetime | None = None) -> Iterator[Page]:
        """Pages of records pushed up to a time, and ``after`` another where given, that are not pulled yet."""
        mark: Mark | None = None
        while True:

            def statement(columns: Collection[Any], mark: Mark | None = mark) -> Select[Any]:
                found = statements.pullable(
                    self._tables,
                    self._node,
                    columns=columns,
                    upto=as_stored(upto, self._time),
                    limit=size,
                    after=mark,
                )
                return found if after is None else found.where(self._time > as_stored(after, self._time))

            items, mark = read_page(self._session, self._layout, statement)
            if items:
                yield items
                self._discard_page()
            if len(items) < size:
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

        def statement(columns: Collection[Any]) -> Select[Any]:
            return statements.returned(
                self._tables, self._node, columns=columns, ids=ids, after=as_stored(after, self._time)
            )

        return read_page(self._session, self._layout, statement)[0]

    def pushed_at(
        self,
        record_id: Any,  # noqa: ANN401 - any key
        *,
        anywhere: bool = False,
    ) -> tuple[datetime | None, bool] | None:
        """Push time of one record and whether it is flagged as pushed; None where it is not in the lane.

        With ``anywhere``, its entity may be assigned to another node, or be missing.
        """
        node = None if anywhere else self._node
        statement = statements.pushed_at(self._tables, node, record_id)
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
        """Whether the entity of a record was moved to another node at some time, or its data sent to another one again."""
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
        reader = PullableReader(session, tables, node)
        with reader.transactions.watching(session):
            yield reader
