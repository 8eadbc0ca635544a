"""Delivery decisions: what of a batch is sent next, when a record counts as pushed, what follows a refusal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

TICK = timedelta(microseconds=1)
"""The smallest step between two push times: what databases keep."""


@dataclass(slots=True)
class Sendable:
    """A record to be sent, its id and its owner's key.

    ``depends_on`` is the id of the record that it follows, where that one was not pushed when this one was read.
    """

    record: Any
    id: Any
    owner: Any
    depends_on: Any = None


class Bisection:
    """One batch on its way: hands out parts in order and splits the ones that are refused as a whole.

    The first part is the batch itself. One bad record among n costs at most ceil(log2 n) + 1 refused requests.
    An owner in ``held`` has a refused record: what follows of it is withheld, across batches, and counted in
    ``left``.
    """

    def __init__(self, batch: Sequence[Sendable], held: set[Any], *, at_most: int | None = None) -> None:
        """Begin with a batch; no part is larger than ``at_most``."""
        self.held = held
        self.left = 0
        self._parts: list[Sequence[Sendable]] = []
        self._put_first(batch, at_most or len(batch))

    def parts(self) -> Iterator[Sequence[Sendable]]:
        """The parts still to send, in order; between two of them, say what became of the first."""
        while self._parts:
            part = self._parts.pop()
            free = [item for item in part if item.owner not in self.held] if self.held else part
            self.left += len(part) - len(free)
            if free:
                yield free

    def split(self, part: Sequence[Sendable]) -> None:
        """The part was refused as a whole: its halves come next; raises ValueError where it has none."""
        if len(part) < 2:  # noqa: PLR2004 - to hand it out again would never end
            message = "a part of one record cannot be split"
            raise ValueError(message)
        self._put_first(part, (len(part) + 1) // 2)

    def _put_first(self, part: Sequence[Sendable], size: int) -> None:
        starts = range(0, len(part), max(size, 1))
        self._parts.extend(part[start : start + size] for start in reversed(starts))


def push_times(now: datetime, last: datetime | None, count: int) -> list[datetime]:
    """``count`` times that strictly increase, from now on and after ``last``, one microsecond apart."""
    first = now if last is None or now > last else last + TICK
    return [first + i * TICK for i in range(count)]
