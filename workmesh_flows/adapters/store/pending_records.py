"""Pending records of a lane, read page by page and in order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.open_transactions import OpenTransactions
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.record_pages import Page, RowLayout
from workmesh_flows.adapters.store.schema import services
from workmesh_flows.adapters.store.statements import pending as statements
from workmesh_flows.adapters.store.statements.page_order import Mark
from workmesh_flows.adapters.store.unreadable_rows import read_page
from workmesh_flows.domain.payload import payload_columns


@dataclass(frozen=True, slots=True)
class PendingPage:
    """Records to send, and where the page ends: None where nothing was read yet."""

    items: Page
    mark: Mark | None


class PendingReader:
    """Reads the pending records of one lane; memory holds one page.

    No transaction stays open between two pages, and what a push function changes on a record is not saved.
    """

    def __init__(self, engine: Engine, tables: PushTables, node: str) -> None:
        self._engine, self._tables, self._node = engine, tables, node
        self.transactions = OpenTransactions()
        """Those of the pages that are open."""

    @cached_property
    def _layout(self) -> RowLayout:
        """Resolved for the first page: most runs find nothing pending and read none."""
        tables = self._tables
        payload = payload_columns(tables.protocol) if tables.push.wants_rows else None
        return RowLayout(tables, payload=payload, order=tables.sort)

    @property
    def reads_objects(self) -> bool:
        """Whether a page holds mapped objects, and so keeps a connection while it is open."""
        return not self._tables.push.wants_rows

    def count(self, *, include_parked: bool = True) -> int:
        """The number of records that the node still has to receive, with or without parked ones."""
        statement = statements.count_pending(self._tables, self._node, include_parked=include_parked)
        return int(self._scalar(statement) or 0)

    @contextmanager
    def page(
        self,
        *,
        size: int,
        after: Mark | None = None,
        only: Collection[Any] | None = None,
        without: Collection[Any] = (),
        include_parked: bool = True,
    ) -> Iterator[PendingPage]:
        """A page of pending records in the order of (sort, id), after the mark of the page before.

        ``only`` selects some owners, ``without`` excludes some. The records are valid inside the block.
        """

        def statement(columns: Collection[Any]) -> Select[Any]:
            return statements.pending(
                self._tables,
                self._node,
                columns=columns,
                limit=size,
                after=after,
                only=only,
                without=without,
                include_parked=include_parked,
            )

        # Closing the session at the end discards its objects, and what a push function did with them.
        with Session(self._engine, autoflush=False, expire_on_commit=False) as session:
            items, mark = read_page(session, self._layout, statement)
            with self.transactions.watching(session):
                yield PendingPage(items, mark or after)
            with translated_errors():
                session.rollback()

    def revision(self) -> int:
        """A number that rises when an entity of the service gets another node or a refused record is decided on."""
        own_row = services.c.service == self._tables.service.name
        return int(self._scalar(select(services.c.revision).where(own_row)) or 0)

    def _scalar(self, statement: Select[Any]) -> Any:  # noqa: ANN401 - the value of any column
        with translated_errors(), self._engine.connect() as connection:
            return connection.scalar(statement)
