"""Rounds: a lane's records in turns, so that one owner's backlog delays the others by a batch a round at most.

Order binds the records of one owner only. What is pending is read in the order of (sort, id); an owner that fills more
than its share of a page is busy: it is read on its own from there on, and gets one turn a round, beside one turn of all
the others.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from workmesh_flows.adapters.store.records import Mark, Reader
from workmesh_flows.domain.protocol import Push
from workmesh_flows.operations.delivery.lane_context import page_size
from workmesh_flows.planning.batching import Sendable

Turns: TypeAlias = Generator[Sequence[Sendable], None, None]
"""Closed where a run ends early, so that no page stays open."""

SINGLES = 100
"""Records of a turn where each goes in a request of its own."""


MOST_BUSY = 1_000
"""Owners with turns of their own in one run: each query of the others names them. What is beyond goes with the others."""
FEW = 4
"""Busy owners that may have read ahead where records are mapped objects, whose pages keep a connection while open."""


class _Changed(Exception):
    """An entity came to the node, or what was set aside is to be sent: records may lie before the page that was read."""


@dataclass(slots=True)
class FairQueue:
    """The turns of one run over one lane, each at most a batch of records that go out in this order."""

    reader: Reader
    push: Push
    turn: int
    """The most records in a turn."""
    aside: Callable[[], bool]
    """Whether records are set aside, which are left out."""
    again: Callable[[], None]
    """Told before all that is pending is read once more, which is when entities came to the node meanwhile."""
    revision: int
    """That of the service when it was read what is set aside."""
    _active: int = 0
    _busy: dict[Any, Turns] = field(default_factory=dict)

    def __iter__(self) -> Turns:
        """Turn by turn, until each record that is pending was had once."""
        while True:
            self._busy.clear()
            try:
                yield from self._slices()
            except _Changed:
                self.revision = self.reader.revision()
                self.again()
            else:
                return

    def _slices(self) -> Turns:
        others = self._others()
        waiting = deque([others])
        known = 0
        try:
            while waiting:
                stream = waiting.popleft()
                turn = next(stream, None)
                newly = list(self._busy.values())[known:]
                known += len(newly)
                waiting.extendleft(reversed(newly))
                if turn is not None:
                    waiting.append(stream)
                    self._active = len(waiting)
                    yield turn
                    next(stream)  # lets it close its page
        finally:  # a run may end before its lane does: no page stays open
            for stream in (others, *self._busy.values()):
                stream.close()

    def _others(self) -> Turns:
        """Turns of all owners but the busy ones; finds the busy ones."""
        mark: Mark | None = None
        size = max(page_size(self.turn), 2 * self.turn)
        while True:
            with self.reader.pending_page(
                self.push, size=size, after=mark, without=list(self._busy), aside=self.aside()
            ) as page:
                self._check()
                counts = Counter(item.owner for item in page.items) if len(page.items) > self.turn else {}
                if len(counts) > 1 or len(page.items) == size:
                    for owner, count in counts.items():
                        if count > self.turn and len(self._busy) < MOST_BUSY:
                            self._busy[owner] = self._one(owner, mark)
                rest = [item for item in page.items if item.owner not in self._busy] if counts else page.items
                yield from self._cut(rest)
            if rest:
                yield ()
            mark = page.mark
            if len(page.items) < size:
                return

    def _one(self, owner: Any, mark: Mark | None) -> Turns:  # noqa: ANN401 - any key
        """Turns of one busy owner, from where it was found to be busy."""
        while True:
            size = self._ahead()
            with self.reader.pending_page(
                self.push, size=size, after=mark, only=owner, aside=self.aside()
            ) as page:
                self._check()
                yield from self._cut(page.items)
            if page.items:
                yield ()
            mark = page.mark
            if len(page.items) < size:
                return

    def _ahead(self) -> int:
        """Records that a busy owner reads at once: all that are busy share a page, so that memory holds few of them."""
        if self._active > FEW and not self.push.wants_rows:
            return self.turn
        return max(page_size(self.turn) // max(self._active, 1) // self.turn, 1) * self.turn

    def _cut(self, items: Sequence[Sendable]) -> Turns:
        """The turns of a page, and nothing after each but the last: there its page is closed first."""
        for start in range(0, len(items), self.turn):
            if start:
                yield ()
            yield items[start : start + self.turn]

    def _check(self) -> None:
        """Asked after a page was read: whoever came before this revision is in it."""
        if self.reader.revision() != self.revision:
            raise _Changed
