"""The best swap between two nodes: the one after which least is over their caps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple, TypeAlias

Group: TypeAlias = tuple[int, tuple[int, ...]]
"""Entities that go together: what they weigh, and their numbers."""
Free: TypeAlias = tuple[float, float]
"""What is free at the source and at the target; below 0 where a cap is exceeded."""


class Swap(NamedTuple):
    """``given`` goes from the source to the target, ``taken`` the other way; ``added`` is what it adds over the caps."""

    added: float
    given: tuple[int, ...]
    taken: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sides:
    """One service on two nodes: single entities that may go, lightest first, and what is free of weight and number.

    An entity over a cap counts 1, a unit of weight over a cap counts ``price``.
    """

    gives: Sequence[Group]
    takes: Sequence[Group]
    weight: Free
    number: Free
    price: float

    def best(self, gives: Sequence[Group], takes: Sequence[Group]) -> Swap | None:
        """The best of these for those; each group of a side holds as many entities, and may be sold for nothing."""
        if not gives or not takes:
            return None
        weights = [weight for weight, _ in takes]
        here, there = self.weight
        least, pair = float("inf"), (gives[0], takes[0])
        for give in gives:
            # What is over the caps is convex in the weight that goes across, and least where the target is just full:
            # the takes next to that are the best ones.
            at = bisect_left(weights, give[0] - there)
            for take in takes[max(at - 1, 0) : at + 1]:
                across = give[0] - take[0]
                excess = max(-here - across, 0) + max(across - there, 0)
                if excess < least:
                    least, pair = excess, (give, take)
        given, taken = pair[0][1], pair[1][1]
        more = len(given) - len(taken)
        added = (least - over(self.weight, 0)) * self.price + over(self.number, more) - over(self.number, 0)
        return Swap(added, given, taken)


def best_swap(services: Sequence[Sides], slots: Free, slot_price: float) -> Swap | None:
    """One entity moves, or one for one, one for two, two for one of its service, or one for one of another.

    ``slots`` are free over all services; an entity over them counts ``slot_price``.
    """
    found = [
        Swap(added + slot_price * (over(slots, len(given) - len(taken)) - over(slots, 0)), given, taken)
        for added, given, taken in _swaps(services)
    ]
    return min(found, key=lambda swap: swap.added, default=None)


def over(free: Free, given: float) -> float:
    """How much both nodes are over a cap once so much went from the source to the target."""
    return max(-free[0] - given, 0) + max(given - free[1], 0)


def _swaps(services: Sequence[Sides]) -> Iterator[Swap]:
    """The best of each kind; slots are left out of it."""
    out = [sides.best(sides.gives, _NOTHING) for sides in services]
    back = [sides.best(_NOTHING, sides.takes) for sides in services]
    for service, sides in enumerate(services):
        kinds = (
            out[service],
            sides.best(sides.gives, sides.takes),
            sides.best(_pairs(sides.gives), sides.takes),
            sides.best(sides.gives, _pairs(sides.takes)),
        )
        yield from (kind for kind in kinds if kind)
        gone = out[service]
        for other, come in enumerate(back):
            if gone and come and other != service:
                yield Swap(gone.added + come.added, gone.given, come.taken)


def _pairs(groups: Sequence[Group]) -> list[Group]:
    return sorted((one[0] + two[0], one[1] + two[1]) for one, two in combinations(groups, 2))


_NOTHING: Sequence[Group] = ((0, ()),)
