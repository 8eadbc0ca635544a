"""Reading a lane to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Engine,
)

from workmesh_flows import Service
from workmesh_flows.adapters.store.pending_records import PendingReader
from workmesh_flows.adapters.store.protocol_tables import push_tables
from workmesh_flows.adapters.store.statements.page_order import Mark
from workmesh_flows.planning.bisection import Sendable


def pages(engine: Engine, service: Service, size: int, node: str = "n1") -> list[list[Sendable]]:
    """All pages of pending records; fails where the pages do not end."""
    found: list[list[Sendable]] = []
    for page in pending(reader_of(engine, service, node), size):
        found.append(list(page))
        assert len(found) < 200, "the pages do not end"
    return found


def reader_of(engine: Engine, service: Service, node: str = "n1") -> PendingReader:
    """A reader of the service's first protocol."""
    return PendingReader(engine, push_tables(service, service.protocols[0]), node)


def pending(reader: PendingReader, size: int) -> Iterator[Sequence[Sendable]]:
    """The pages of pending records; each is closed before the next one is read."""
    mark: Mark | None = None
    while True:
        with reader.page(size=size, after=mark) as page:
            mark = page.mark
            if page.items:
                yield page.items
        if len(page.items) < size:
            return


def ids(read: Sequence[Sequence[Sendable]]) -> list[Any]:
    return [item.id for page in read for item in page]
