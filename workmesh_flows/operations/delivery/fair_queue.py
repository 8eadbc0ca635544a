"""A fair queue: a lane's records in slices, so that one owner's backlog delays the others by one batch per cycle.

Order binds the records of one owner only. Pending records are read in the order of (sort, id). An owner with more
records on a page than fit into a slice is busy: from there on its records are read by queries of their own, and it
gets one slice per cycle, beside one slice of all the others. The owners of refused records come last: their records
may be refused again, and the node must not be judged by them alone.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from workmesh_flows.adapters.store.pending_records import PendingReader
from workmesh_flows.adapters.store.statements.page_order import Mark
from workmesh_flows.operations.delivery.lane_context import page_size
from workmesh_flows.planning.bisection import Sendable

Slices: TypeAlias = Generator[Sequence[Sendable], None, None]
"""Close it where a run ends early, so that no page stays open."""

SINGLES = 100
"""Records of a slice where each is sent in a request of its own."""


MOST_BUSY = 1_000
"""Owners with slices of their own in one run: each query of the others names them. More owners stay with the others."""
FEW = 4
"""Busy owners that may read ahead where records are mapped objects, whose open pages each keep a connection."""


class _Changed(Exception):
    """An entity came to the node, or a refused record was decided on: records may lie before the page that was read."""


@dataclass(slots=True)
class FairQueue:
    """The slices of one run over one lane, each at most a batch of records that are sent in this order."""

    reader: PendingReader
    size: int
    """The most records in a slice."""
    include_parked: Callable[[], bool]
    """Whether to read parked records too: true where none are known, so that queries stay simple."""
    on_restart: Callable[[], None]
    """Called before everything pending is read again, because the service's revision rose."""
    revision: int
    """The service's revision when the refused records were read."""
    refused_owners: Callable[[], Collection[Any]] = tuple
    """The owners of the records that were refused before this run and are sent again."""
    _active: int = 0
    _busy: dict[Any, Slices] = field(default_factory=dict)
    _last: list[Any] = field(default_factory=list)

    def __iter__(self) -> Slices:
        """Slice by slice, until each pending record was given once."""
        while True:
            self._busy.clear()
            self._last = list(self.refused_owners())[:MOST_BUSY]
            try:
                yield from self._slices()
                if self._last:
                    self._active = 1
                    with closing(self._slices_of(self._last, None)) as last:
                        yield from (records for records in last if records)
            except _Changed:
                self.revision = self.reader.revision()
                self.on_restart()
            else:
                return

    def _slices(self) -> Slices:
        others = self._slices_of_others()
        streams = deque([others])
        known = 0
        try:
            while streams:
                stream = streams.popleft()
                records = next(stream, None)
                newly_busy = list(self._busy.values())[known:]
                known += len(newly_busy)
                streams.extendleft(reversed(newly_busy))
                if records is not None:
                    streams.append(stream)
                    self._active = len(streams)
                    yield records
                    next(stream)  # lets it close its page
        finally:  # a run may end before its lane does: no page stays open
            for stream in (others, *self._busy.values()):
                stream.close()

    def _slices_of_others(self) -> Slices:
        """Slices of all owners that are not busy; detects the busy ones."""
        mark: Mark | None = None
        size = max(page_size(self.size), 2 * self.size)
        while True:
            with self.reader.page(
                size=size,
                after=mark,
                without=[*self._busy, *self._last],
                include_parked=self.include_parked(),
            ) as page:
                self._check_revision()
                counts = Counter(item.owner for item in page.items) if len(page.items) > self.size else {}
                if len(counts) > 1 or len(page.items) == size:
                    for owner, count in counts.items():
                        if count > self.size and len(self._busy) < MOST_BUSY:
                            self._busy[owner] = self._slices_of([owner], mark)
                rest = [item for item in page.items if item.owner not in self._busy] if counts else page.items
                yield from self._cut(rest)
            if rest:
                yield ()
            mark = page.mark
            if len(page.items) < size:
                return

    def _slices_of(self, owners: Collection[Any], mark: Mark | None) -> Slices:
        """Slices of some owners alone: of a busy one, from the page on which it was found to be busy."""
        while True:
            size = self._read_ahead()
            with self.reader.page(
                size=size, after=mark, only=owners, include_parked=self.include_parked()
            ) as page:
                self._check_revision()
                yield from self._cut(page.items)
            if page.items:
                yield ()
            mark = page.mark
            if len(page.items) < size:
                return

    def _read_ahead(self) -> int:
        """Records that a busy owner reads at once: all busy owners together hold about one page in memory."""
        if self._active > FEW and self.reader.reads_objects:
            return self.size
        return max(page_size(self.size) // max(self._active, 1) // self.size, 1) * self.size

    def _cut(self, items: Sequence[Sendable]) -> Slices:
        """The slices of a page, with an empty one between them; none follows the last, whose page is closed first."""
        for start in range(0, len(items), self.size):
            if start:
                yield ()
            yield items[start : start + self.size]

    def _check_revision(self) -> None:
        """Called after a page was read: the page contains whatever came before this revision."""
        if self.reader.revision() != self.revision:
            raise _Changed
