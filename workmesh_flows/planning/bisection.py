"""Which records of a batch to send next, where a node refuses the batch as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Takes the place of a record that cannot be read from the database; ``reason`` says why."""

    reason: str


@dataclass(slots=True)
class Sendable:
    """A record to send, its id and the key of its entity; the record may be Unreadable.

    ``depends_on`` is the id of the record that it depends on, if that record was not pushed when this one was
    read.
    """

    record: Any
    id: Any
    owner: Any
    depends_on: Any = None


class Bisection:
    """Yields the parts of a batch in order and bisects parts that a node refuses as a whole.

    The first part is the whole batch. One bad record among n costs at most ceil(log2 n) + 1 refused requests.
    ``blocked`` are the entities with a refused record, across batches: their later records are not sent and
    are counted in ``waiting``.
    """

    def __init__(self, batch: Sequence[Sendable], blocked: set[Any], *, at_most: int | None = None) -> None:
        """Start with a batch; no part has more than ``at_most`` records."""
        self.blocked = blocked
        self.waiting = 0
        self._parts: list[Sequence[Sendable]] = []
        self._put_first(batch, at_most or len(batch))

    def parts(self) -> Iterator[Sequence[Sendable]]:
        """Yield the parts to send, in order; `split` and additions to ``blocked`` affect the next part."""
        while self._parts:
            part = self._parts.pop()
            unblocked = [item for item in part if item.owner not in self.blocked] if self.blocked else part
            self.waiting += len(part) - len(unblocked)
            if unblocked:
                yield unblocked

    def split(self, part: Sequence[Sendable]) -> None:
        """Yield the halves of a refused part next; raises ValueError for a part of one record."""
        if len(part) < 2:  # noqa: PLR2004 - yielding the same part again would never end
            message = "a part of one record cannot be split"
            raise ValueError(message)
        self._put_first(part, (len(part) + 1) // 2)

    def repeat(self, part: Sequence[Sendable], *, at_most: int) -> None:
        """Yield a part that was not answered again next, in parts of at most that many records."""
        self._put_first(part, at_most)

    def _put_first(self, part: Sequence[Sendable], size: int) -> None:
        starts = range(0, len(part), max(size, 1))
        self._parts.extend(part[start : start + size] for start in reversed(starts))
