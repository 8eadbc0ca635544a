"""The best exchange of entities between two nodes: the one after which they exceed their caps the least."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple, TypeAlias

Group: TypeAlias = tuple[int, tuple[int, ...]]
"""Entities that move together: their total weight, and their numbers."""
Free: TypeAlias = tuple[float, float]
"""What is free at the source and at the target; negative if a cap is exceeded."""


class Swap(NamedTuple):
    """Entities ``outgoing`` from the source to the target, and ``incoming`` from the target to the source.

    ``change`` is the change in the excess over the caps; negative is an improvement.
    """

    change: float
    outgoing: tuple[int, ...]
    incoming: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NodePair:
    """One service on a source and a target: single entities that may move, lightest first, and free capacity.

    An entity over a cap costs 1, a unit of weight over a cap costs ``price``.
    """

    outgoing: Sequence[Group]
    incoming: Sequence[Group]
    weight: Free
    number: Free
    price: float

    def best(self, outgoing: Sequence[Group], incoming: Sequence[Group]) -> Swap | None:
        """The best swap of an outgoing for an incoming group; groups of a direction have the same size."""
        if not outgoing or not incoming:
            return None
        weights = [weight for weight, _ in incoming]
        here, there = self.weight
        least, pair = float("inf"), (outgoing[0], incoming[0])
        for group in outgoing:
            # The excess is convex in the transferred weight and minimal where the target is exactly full: the
            # best incoming group is next to that weight.
            position = bisect_left(weights, group[0] - there)
            for other in incoming[max(position - 1, 0) : position + 1]:
                transferred = group[0] - other[0]
                excess = max(-here - transferred, 0) + max(transferred - there, 0)
                if excess < least:
                    least, pair = excess, (group, other)
        out_numbers, in_numbers = pair[0][1], pair[1][1]
        more = len(out_numbers) - len(in_numbers)
        change = (least - excess_after(self.weight, 0)) * self.price
        change = change + excess_after(self.number, more) - excess_after(self.number, 0)
        return Swap(change, out_numbers, in_numbers)


def best_swap(services: Sequence[NodePair], slots: Free, slot_price: float) -> Swap | None:
    """The best of: one entity moves; 1:1, 1:2 or 2:1 within a service; 1:1 between two services.

    ``slots`` are free over all services together; an entity over them costs ``slot_price``.
    """
    found = [
        Swap(
            change
            + slot_price * (excess_after(slots, len(outgoing) - len(incoming)) - excess_after(slots, 0)),
            outgoing,
            incoming,
        )
        for change, outgoing, incoming in _candidates(services)
    ]
    return min(found, key=lambda swap: swap.change, default=None)


def excess_after(free: Free, transferred: float) -> float:
    """How much both nodes exceed a cap after ``transferred`` moved from the source to the target."""
    return max(-free[0] - transferred, 0) + max(transferred - free[1], 0)


def _candidates(services: Sequence[NodePair]) -> Iterator[Swap]:
    """Yield the best swap of each kind, without regard to slots."""
    out = [pair.best(pair.outgoing, _NOTHING) for pair in services]
    back = [pair.best(_NOTHING, pair.incoming) for pair in services]
    for service, pair in enumerate(services):
        kinds = (
            out[service],
            pair.best(pair.outgoing, pair.incoming),
            pair.best(_couples(pair.outgoing), pair.incoming),
            pair.best(pair.outgoing, _couples(pair.incoming)),
        )
        yield from (kind for kind in kinds if kind)
        leaving = out[service]
        for other, coming in enumerate(back):
            if leaving and coming and other != service:
                yield Swap(leaving.change + coming.change, leaving.outgoing, coming.incoming)


def _couples(groups: Sequence[Group]) -> list[Group]:
    return sorted((one[0] + two[0], one[1] + two[1]) for one, two in combinations(groups, 2))


_NOTHING: Sequence[Group] = ((0, ()),)
