"""Reading a lane as a test does: to its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    Engine,
)

from workmesh_flows import Push, Service
from workmesh_flows.adapters.store.records import Mark, Reader, reading
from workmesh_flows.planning.batching import Sendable


def pages(engine: Engine, service: Service, size: int, node: str = "n1") -> list[list[Sendable]]:
    """All pages of what is pending, read to the end; it must end."""
    protocol = service.protocols[0]
    assert protocol.push is not None
    found: list[list[Sendable]] = []
    with reading(engine, service, protocol, node) as reader:
        for page in pending(reader, protocol.push, size):
            found.append(list(page))
            assert len(found) < 200, "the pages do not end"
    return found


def pending(reader: Reader, push: Push, size: int) -> Iterator[Sequence[Sendable]]:
    """Page by page; each is closed before the next one is read."""
    mark: Mark | None = None
    while True:
        with reader.pending_page(push, size=size, after=mark) as page:
            mark = page.mark
            if page.items:
                yield page.items
        if len(page.items) < size:
            return


def ids(read: Sequence[Sequence[Sendable]]) -> list[Any]:
    return [item.id for page in read for item in page]
