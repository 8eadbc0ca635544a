"""Making room where something fits nowhere: entities that were just placed change places.

A search by steps with a memory (tabu search: Glover, 1989). The entity that fits nowhere is put where it goes over
the caps the least. Then, step by step, a node that is over its caps makes the best swap with another node; what
moved does not go back for some steps. It ends well once nothing is over its caps. Where that takes too long, all
entities are dealt anew, as long as they are few; at last all go back to where they were.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from workmesh_flows.planning.assignment.swaps import Sides, Swap, best_swap

WORK = 2_000_000
"""Entities, pairs of them, and nodes for them, that one plan looks at: a few seconds."""
STEPS, STEPS_AN_ENTITY = 400, 10
"""Steps before all is dealt anew, at most."""
WORST = 0.7
"""How often the node that is most over its caps is next; now and then it is another, lest two nodes play ball."""
DEALS = 12
"""Deals for one entity, the first of them what is there."""
DEALT = 2_000
"""Entities that are dealt anew at most."""
LOOKED_AT = 12
"""Entities of a service on a node, and other nodes, that a step looks at: drawn by lot where there are more."""
AWAY = 6
"""Steps that what moved stays away from where it was, at least; at most twice as many."""
SLOT_PRICES = (1.0, 0.3, 0.1)
"""What an entity over the shared cap counts, deal by deal: what is hard to find with one is easy with another."""


@dataclass(slots=True)
class Packing:
    """Entities of several services on nodes; entities, services and nodes are numbers.

    ``weight_free`` and ``number_free`` have a row a service, of what is free on each node: infinite without a cap,
    None where the service may put nothing. ``slots`` is what each node may still take over all services. A service's
    unit of weight over a cap counts its ``prices``. All of it changes as entities move.
    """

    weight_free: list[list[float | None]]
    number_free: list[list[float]]
    slots: list[float]
    prices: Sequence[float]
    work: int
    service: list[int] = field(default_factory=list)
    weight: list[int] = field(default_factory=list)
    node: list[int] = field(default_factory=list)
    _on: list[list[list[tuple[int, int]]]] = field(init=False)
    _slot_price: float = 1.0
    _dice: Random = field(init=False)

    def __post_init__(self) -> None:
        """Hold nothing yet; the dice fall in the same way in each run."""
        self._on = [[[] for _ in row] for row in self.weight_free]
        self._dice = Random(1)  # noqa: S311 - no secret

    def hold_all(self, service: int, entities: Sequence[tuple[int, int]]) -> None:
        """Take in entities (weight, node) that already count in what is free; they are numbered on."""
        for number, (weight, node) in enumerate(entities, len(self.node)):
            self._on[service][node].append((weight, number))
        for held in self._on[service]:
            held.sort()
        self.service += [service] * len(entities)
        self.weight += [weight for weight, _ in entities]
        self.node += [node for _, node in entities]

    def fits(self, service: int, weight: int) -> bool:
        """Whether one more entity has room as things are."""
        return any(
            free is not None and free >= weight and number >= 1 and slots >= 1
            for free, number, slots in zip(
                self.weight_free[service], self.number_free[service], self.slots, strict=True
            )
        )

    def may_place(self, service: int, weight: int) -> bool:
        """Whether what is free is enough if it were in one place; False is certain, True is not."""
        free = [
            (left, number)
            for left, number in zip(self.weight_free[service], self.number_free[service], strict=True)
            if left is not None
        ]
        return (
            sum(left for left, _ in free) >= weight
            and sum(number for _, number in free) >= 1
            and sum(self.slots) >= 1
        )

    def place(self, service: int, weight: int) -> bool:
        """Place one more entity within the caps, as the last one held; else leave all as it was."""
        number = len(self.node)
        self.service.append(service)
        self.weight.append(weight)
        self.node.append(-1)
        self._put_on(number, self._least_over(service, weight))
        before: dict[int, int] = {}
        for deal in range(DEALS if len(self.node) <= DEALT else 1):
            self._slot_price = SLOT_PRICES[deal % len(SLOT_PRICES)]
            if deal:
                self._deal(before)
            if self._search(before):
                return True
            if self.work < 0:
                break
        for moved, node in before.items():
            self._move(moved, node)
        self._take_off(number)
        for column in (self.service, self.weight, self.node):
            column.pop()
        return False

    def _least_over(self, service: int, weight: int) -> int:
        """The node that one more entity brings least over its caps, the emptiest of them; there must be one."""
        free = self.weight_free[service]

        def added(node: int) -> tuple[float, float, int]:
            weight_left, number_left, slots_left = (
                free[node] or 0,
                self.number_free[service][node],
                self.slots[node],
            )
            more = max(weight - weight_left, 0) - max(-weight_left, 0)
            price = (number_left < 1) + (slots_left < 1) * self._slot_price
            return more * self.prices[service] + price, -weight_left, node

        return min((node for node, left in enumerate(free) if left is not None), key=added)

    def _count(self, number: int, sign: int) -> None:
        """Count what is free of an entity's node with it gone (1) or come (-1)."""
        service, node = self.service[number], self.node[number]
        self.weight_free[service][node] = (self.weight_free[service][node] or 0) + sign * self.weight[number]
        self.number_free[service][node] += sign
        self.slots[node] += sign

    def _take_off(self, number: int) -> None:
        self._count(number, 1)
        there = self._on[self.service[number]][self.node[number]]
        del there[bisect_left(there, (self.weight[number], number))]

    def _put_on(self, number: int, node: int) -> None:
        self.node[number] = node
        self._count(number, -1)
        insort(self._on[self.service[number]][node], (self.weight[number], number))

    def _move(self, number: int, node: int) -> None:
        self._take_off(number)
        self._put_on(number, node)

    def _deal(self, before: dict[int, int]) -> None:
        """Begin anew: the heaviest first, more or less, each where it is least over the caps."""
        self.work -= len(self.node) * len(self.slots)
        for number, node in enumerate(self.node):
            before.setdefault(number, node)
            self._take_off(number)
        heavy = [
            -weight * self.prices[service] * (1 + 0.3 * self._dice.random())
            for service, weight in zip(self.service, self.weight, strict=True)
        ]
        for number in sorted(range(len(heavy)), key=heavy.__getitem__):
            self._put_on(number, self._least_over(self.service[number], self.weight[number]))

    def _search(self, before: dict[int, int]) -> bool:
        """Swap entities until nothing is over its caps; ``before`` gets where the moved ones were."""
        away: dict[tuple[int, int], int] = {}
        for step in range(min(STEPS, STEPS_AN_ENTITY * len(self.node))):
            self.work -= len(self.slots)
            bad = self._bad_nodes()
            if not bad or self.work < 0:
                break
            source = -(max(bad) if self._dice.random() < WORST else self._dice.choice(bad))[1]
            target, swap = self._best_swap(source, away, step)
            if swap is None:
                continue
            for numbers, node in ((swap.given, target), (swap.taken, source)):
                for number in numbers:
                    before.setdefault(number, self.node[number])
                    away[number, self.node[number]] = step + AWAY + self._dice.randrange(AWAY)
                    self._move(number, node)
        return not self._bad_nodes()

    def _bad_nodes(self) -> list[tuple[float, int]]:
        """What is over its caps, as pairs (how much, the node below 0)."""
        return [(over, -node) for node in range(len(self.slots)) if (over := self._over(node)) > 0]

    def _over(self, node: int) -> float:
        """How much a node is over its caps."""
        total = max(-self.slots[node], 0) * self._slot_price
        for service, row in enumerate(self.weight_free):
            free = row[node]
            if free is not None:
                total += max(-free, 0) * self.prices[service] + max(-self.number_free[service][node], 0)
        return total

    def _best_swap(self, source: int, away: dict[tuple[int, int], int], step: int) -> tuple[int, Swap | None]:
        """The best one with any other node, and that node."""
        others = [node for node in range(len(self.slots)) if node != source]
        if len(others) > LOOKED_AT:
            others = sorted(self._dice.sample(others, LOOKED_AT))
        best: tuple[int, Swap | None] = source, None
        for target in others:
            sides = [
                self._sides(service, source, target, away, step)
                for service, free in enumerate(self.weight_free)
                if free[source] is not None and free[target] is not None
            ]
            found = best_swap(sides, (self.slots[source], self.slots[target]), self._slot_price)
            if found is not None and (best[1] is None or found.added < best[1].added):
                best = target, found
        return best

    def _sides(
        self, service: int, source: int, target: int, away: dict[tuple[int, int], int], step: int
    ) -> Sides:
        weights, numbers = self.weight_free[service], self.number_free[service]
        gives, takes = (
            [
                (weight, (number,))
                for weight, number in self._some(service, here)
                if away.get((number, there), -1) < step
            ]
            for here, there in ((source, target), (target, source))
        )
        self.work -= (len(gives) + 4) * (len(gives) + 1) // 2
        return Sides(
            gives,
            takes,
            (weights[source] or 0, weights[target] or 0),
            (numbers[source], numbers[target]),
            self.prices[service],
        )

    def _some(self, service: int, node: int) -> list[tuple[int, int]]:
        """Entities of a service on a node, lightest first: all, or some of them."""
        held = self._on[service][node]
        if len(held) <= LOOKED_AT:
            return held
        return sorted(self._dice.sample(held, LOOKED_AT))
