"""Placing entities where nothing fits: entities of the same plan exchange their nodes until all caps hold.

This is a tabu search (Glover, 1989). The unplaced entity goes to the node whose caps it exceeds the least.
Then, step by step, a node over its caps makes the best swap with another node, and the moved entities may not
return for some steps. The search succeeds when no node exceeds its caps. If a search takes too many steps, it
restarts from a new greedy placement of all entities, if there are few; if no search succeeds, all entities
return to their nodes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from workmesh_flows.planning.assignment.swaps import NodePair, Swap, best_swap

BUDGET = 2_000_000
"""Search budget of one plan, in entities, pairs of entities and nodes examined: a few seconds."""
STEPS, STEPS_PER_ENTITY = 400, 10
"""Upper limits of the steps of one search: in total, and per entity."""
WORST_NODE_PROBABILITY = 0.7
"""Probability that a step picks the node with the largest excess; otherwise a random one, to avoid cycles."""
SEARCHES = 12
"""Searches for one entity; the first starts from the current placement, the others restart."""
MAX_RESTARTED = 2_000
"""Largest number of entities for which a search restarts."""
SAMPLE = 12
"""Entities of a service on a node, and other nodes, that a step examines; a random sample of more."""
TENURE = 6
"""Steps for which a moved entity may not return to its node, at least; at most twice as many."""
SLOT_PRICES = (1.0, 0.3, 0.1)
"""Cost of an entity over the shared cap, by search: a solution that one price misses, another finds."""


@dataclass(slots=True)
class Packing:
    """Entities of several services on nodes; entities, services and nodes are numbers.

    ``weight_free`` and ``number_free`` have one row per service with what is free on each node: infinite
    without a cap; ``weight_free`` is None where the service may not use the node. ``slots`` is what each node
    may still receive over all services. ``prices`` is the cost of one unit of weight over a cap, by service.
    All of these change as entities move.
    """

    weight_free: list[list[float | None]]
    number_free: list[list[float]]
    slots: list[float]
    prices: Sequence[float]
    budget: int
    service: list[int] = field(default_factory=list)
    weight: list[int] = field(default_factory=list)
    node: list[int] = field(default_factory=list)
    _on: list[list[list[tuple[int, int]]]] = field(init=False)
    _slot_price: float = 1.0
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        """Start without entities, and with a fixed seed so that each run gives the same plan."""
        self._on = [[[] for _ in row] for row in self.weight_free]
        self._random = Random(1)  # noqa: S311 - not used for security

    def add_placed(self, service: int, entities: Sequence[tuple[int, int]]) -> None:
        """Add entities (weight, node) that are already included in what is free, under the next numbers."""
        for number, (weight, node) in enumerate(entities, len(self.node)):
            self._on[service][node].append((weight, number))
        for held in self._on[service]:
            held.sort()
        self.service += [service] * len(entities)
        self.weight += [weight for weight, _ in entities]
        self.node += [node for _, node in entities]

    def fits(self, service: int, weight: int) -> bool:
        """Whether one more entity fits on a node without any exchange."""
        return any(
            free is not None and free >= weight and number >= 1 and slots >= 1
            for free, number, slots in zip(
                self.weight_free[service], self.number_free[service], self.slots, strict=True
            )
        )

    def may_place(self, service: int, weight: int) -> bool:
        """Whether the total of what is free suffices; a necessary condition, not a sufficient one."""
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
        """Place one more entity so that all caps hold, under the next number; else change nothing."""
        number = len(self.node)
        self.service.append(service)
        self.weight.append(weight)
        self.node.append(-1)
        self._put_on(number, self._least_excess_node(service, weight))
        origin: dict[int, int] = {}
        for search in range(SEARCHES if len(self.node) <= MAX_RESTARTED else 1):
            self._slot_price = SLOT_PRICES[search % len(SLOT_PRICES)]
            if search:
                self._restart(origin)
            if self._search(origin):
                return True
            if self.budget < 0:
                break
        for moved, node in origin.items():
            self._move(moved, node)
        self._take_off(number)
        for column in (self.service, self.weight, self.node):
            column.pop()
        return False

    def _least_excess_node(self, service: int, weight: int) -> int:
        """The node whose excess grows least by one more entity, then the one with most free weight."""
        free = self.weight_free[service]

        def added_excess(node: int) -> tuple[float, float, int]:
            weight_left, number_left, slots_left = (
                free[node] or 0,
                self.number_free[service][node],
                self.slots[node],
            )
            more = max(weight - weight_left, 0) - max(-weight_left, 0)
            price = (number_left < 1) + (slots_left < 1) * self._slot_price
            return more * self.prices[service] + price, -weight_left, node

        return min((node for node, left in enumerate(free) if left is not None), key=added_excess)

    def _count(self, number: int, sign: int) -> None:
        """Update what is free on an entity's node after the entity left (1) or arrived (-1)."""
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

    def _restart(self, origin: dict[int, int]) -> None:
        """Place all entities again, in a randomized order from the heaviest, each with the least excess."""
        self.budget -= len(self.node) * len(self.slots)
        for number, node in enumerate(self.node):
            origin.setdefault(number, node)
            self._take_off(number)
        order = [
            -weight * self.prices[service] * (1 + 0.3 * self._random.random())
            for service, weight in zip(self.service, self.weight, strict=True)
        ]
        for number in sorted(range(len(order)), key=order.__getitem__):
            self._put_on(number, self._least_excess_node(self.service[number], self.weight[number]))

    def _search(self, origin: dict[int, int]) -> bool:
        """Swap entities until no node exceeds its caps; add first nodes of moved entities to ``origin``."""
        tabu: dict[tuple[int, int], int] = {}
        for step in range(min(STEPS, STEPS_PER_ENTITY * len(self.node))):
            self.budget -= len(self.slots)
            overfull = self._overfull_nodes()
            if not overfull or self.budget < 0:
                break
            worst = self._random.random() < WORST_NODE_PROBABILITY
            source = -(max(overfull) if worst else self._random.choice(overfull))[1]
            target, swap = self._best_swap(source, tabu, step)
            if swap is None:
                continue
            for numbers, node in ((swap.outgoing, target), (swap.incoming, source)):
                for number in numbers:
                    origin.setdefault(number, self.node[number])
                    tabu[number, self.node[number]] = step + TENURE + self._random.randrange(TENURE)
                    self._move(number, node)
        return not self._overfull_nodes()

    def _overfull_nodes(self) -> list[tuple[float, int]]:
        """The nodes over their caps, as pairs (excess, negative node number)."""
        return [(excess, -node) for node in range(len(self.slots)) if (excess := self._excess(node)) > 0]

    def _excess(self, node: int) -> float:
        """How much a node exceeds its caps, in the unit of the prices."""
        total = max(-self.slots[node], 0) * self._slot_price
        for service, row in enumerate(self.weight_free):
            free = row[node]
            if free is not None:
                total += max(-free, 0) * self.prices[service] + max(-self.number_free[service][node], 0)
        return total

    def _best_swap(self, source: int, tabu: dict[tuple[int, int], int], step: int) -> tuple[int, Swap | None]:
        """The best swap of a node with any other node, and that node."""
        others = [node for node in range(len(self.slots)) if node != source]
        if len(others) > SAMPLE:
            others = sorted(self._random.sample(others, SAMPLE))
        best: tuple[int, Swap | None] = source, None
        for target in others:
            pairs = [
                self._node_pair(service, source, target, tabu, step)
                for service, free in enumerate(self.weight_free)
                if free[source] is not None and free[target] is not None
            ]
            found = best_swap(pairs, (self.slots[source], self.slots[target]), self._slot_price)
            if found is not None and (best[1] is None or found.change < best[1].change):
                best = target, found
        return best

    def _node_pair(
        self, service: int, source: int, target: int, tabu: dict[tuple[int, int], int], step: int
    ) -> NodePair:
        weights, numbers = self.weight_free[service], self.number_free[service]
        outgoing, incoming = (
            [
                (weight, (number,))
                for weight, number in self._sample(service, here)
                if tabu.get((number, there), -1) < step
            ]
            for here, there in ((source, target), (target, source))
        )
        self.budget -= (len(outgoing) + 4) * (len(outgoing) + 1) // 2
        return NodePair(
            outgoing,
            incoming,
            (weights[source] or 0, weights[target] or 0),
            (numbers[source], numbers[target]),
            self.prices[service],
        )

    def _sample(self, service: int, node: int) -> list[tuple[int, int]]:
        """The entities of a service on a node, lightest first; a random sample if there are many."""
        entities = self._on[service][node]
        if len(entities) <= SAMPLE:
            return entities
        return sorted(self._random.sample(entities, SAMPLE))
