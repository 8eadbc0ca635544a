"""Local search for a balanced placement: the best of several randomized attempts, improved by exchanges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf
from typing import TypeAlias

from workmesh_flows.planning.moves import Objective
from workmesh_flows.planning.rebalance.eviction import Variation, evict
from workmesh_flows.planning.rebalance.exchange import Exchange, Terms, apply, best_exchange
from workmesh_flows.planning.rebalance.filling import fill
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort
from workmesh_flows.planning.rebalance.target_load import Limits, TargetLoads, balanced

ATTEMPTS = 40
"""Largest number of attempts for one target; more attempts seldom find a better result."""
EFFORT = 50_000_000, 40_000
"""Computation budget of a plan, fixed and per entity: 0.06 s for 200 entities, 0.45 s for 10,000."""
ENOUGH_EXCHANGES = 6
"""Exchanges that resolve the overload of a node after which the cheapest of them is applied."""
TOLERATED_COST = 0.001
"""The search ends if the best cost exceeds the lower bound by at most this fraction per attempt made."""
LEAST_TOLERANCE = 0.001
"""If the target is out of reach, the busiest node must improve by half of the tolerance, or half of this."""
BISECTIONS = 7
"""Steps of the bisection for the best reachable balance."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The placement of an attempt with its quality: smaller is better, in the order of ``rank``."""

    end: Placement
    misplaced: int
    overload: float
    cost: float

    @property
    def rank(self) -> tuple[int, float, float]:
        return self.misplaced, self.overload, self.cost


def improve(now: Placement, targets: TargetLoads, tolerance: float, objective: Objective) -> Placement:
    """Return a balanced placement or the closest one found; ``now`` if the improvement is too small."""
    limits = balanced(now, targets, 1 + tolerance)
    if not distance(now, targets, limits) > _REACHED:
        return now
    effort = (EFFORT[0] + EFFORT[1] * len(now.node_of)) / 2
    best = _search(now, targets, limits, objective, Effort(effort))
    if best.overload:
        best = _bisect(now, targets, tolerance, objective, best)
    found, start = distance(best.end, targets, limits), distance(now, targets, limits)
    return best.end if _is_worth_moving(found, start, tolerance) else now


def _is_worth_moving(found: Distance, start: Distance, tolerance: float) -> bool:
    """Whether the improvement is large enough to move entities for it."""
    if found[0] != start[0]:
        return found[0] < start[0]
    step = max(tolerance, LEAST_TOLERANCE) / 2
    return found[1:] < start[1:] and (found[1] <= start[1] - step or found[2] <= start[2] / 4)


_REACHED = 0, 0.0, 0.0
Distance: TypeAlias = tuple[int, float, float]


def distance(here: Placement, targets: TargetLoads, limits: Limits) -> Distance:
    """Distance from the limits: misplaced entities, relative load of the busiest node, total overload."""
    over = [node for node in here.receivers if here.load[node] > limits.load[node]]
    return (
        misplaced(here),
        max((targets.relative(node, here.load[node]) for node in over), default=0.0),
        sum(here.load[node] - limits.load[node] for node in over),
    )


def misplaced(here: Placement) -> int:
    """Number of movable entities on drained nodes, plus entities and units of weight over caps."""
    count = 0
    for number, node in enumerate(here.nodes):
        if node.drain:
            count += len(here.movable_on(number))
        elif here.over_cap(number):
            weight, entities = (
                here.load[number] - here.max_load[number],
                len(here.entities_on[number]) - here.max_count(number),
            )
            count += int(max(0, weight) + max(0, entities))
    return count


def _bisect(
    now: Placement, targets: TargetLoads, tolerance: float, objective: Objective, best: SearchResult
) -> SearchResult:
    """Bisect between the target and the busiest node's load for the lowest load that a search reaches."""
    limits = balanced(now, targets, 1 + tolerance)
    low, high = 1 + tolerance, distance(best.end, targets, limits)[1]
    effort = (EFFORT[0] + EFFORT[1] * len(now.node_of)) / 2 / BISECTIONS
    start = distance(now, targets, limits)
    if start[0] <= best.misplaced:
        high = min(high, start[1])
    for _ in range(BISECTIONS):
        if not low < high < inf:
            break
        middle = (low + high) / 2
        found = _search(now, targets, balanced(now, targets, middle), objective, Effort(effort))
        reached = distance(found.end, targets, limits)[1]
        if found.misplaced <= best.misplaced and reached < high:
            best, high = found, reached
        else:
            low = middle
    return best


def _search(
    now: Placement, targets: TargetLoads, limits: Limits, objective: Objective, effort: Effort
) -> SearchResult:
    """The best of several attempts; ends early near a lower bound, the cost of the evicted entities."""
    costs = _costs(now, objective)
    terms = Terms(limits.load, now.node_of, costs, effort)
    bound, best, attempt = 0.0, None, 0
    while best is None or (
        effort.left > 0 and attempt < ATTEMPTS and best.rank > (0, 0, bound * (1 + TOLERATED_COST * attempt))
    ):
        variation = Variation(attempt, objective, effort)
        leaving = evict(now, limits, variation)
        if not attempt:
            bound = sum(costs[entity] for entity in leaving)
        end = _attempt(now, targets, limits, leaving, variation)
        result = _evaluate(now, end, limits, costs)
        if result.overload and (best is None or result.overload < 2 * best.overload or not attempt % 4):
            _reduce_overload(end, terms)
            result = _evaluate(now, end, limits, costs)
        if best is None or result.rank < best.rank:
            best = result
        attempt += 1
        effort.left -= 1_000 * len(now.node_of)
    if best.cost > bound * (1 + TOLERATED_COST):
        _reduce_cost(best.end, terms)
        best = _evaluate(now, best.end, limits, costs)
    return best


def _attempt(
    now: Placement, targets: TargetLoads, limits: Limits, leaving: Sequence[int], variation: Variation
) -> Placement:
    """Fill the nodes below their fair share; every other attempt also fills nodes that evicted too much."""
    end = now.detach(leaving)
    below = [
        node
        for node in end.receivers
        if end.load[node] < limits.load[node]
        and (variation.attempt % 2 or now.load[node] < targets.fair[node])
    ]
    for entity in fill(end, leaving, below, limits.load, variation):
        _place(end, entity, limits)
    end.reattach(now.node_of)
    return end


def _place(end: Placement, entity: int, limits: Limits) -> None:
    """Move an entity to the node with the least overload, if it fits anywhere."""
    if fitting := [node for node in end.receivers if end.fits(entity, node)]:
        end.move(entity, min(fitting, key=lambda node: (end.load[node] - limits.load[node], node)))


def _reduce_overload(end: Placement, terms: Terms) -> None:
    """Apply the best exchange between the most overloaded node and an underloaded one, while that helps."""
    receivers, ceilings = end.receivers, terms.ceilings
    while terms.effort.left > 0 and (over := [node for node in receivers if end.load[node] > ceilings[node]]):
        worst = max(over, key=lambda node: (end.load[node] - ceilings[node], -node))
        best, other, enough = Exchange(), worst, 0
        below = [node for node in receivers if end.load[node] < ceilings[node]]
        for node in sorted(below, key=lambda node: (end.load[node] - ceilings[node], node)):
            exchange = best_exchange(end, worst, node, terms)
            if exchange.relief > 0 and (exchange.relief, exchange.saved) > (best.relief, best.saved):
                best, other = exchange, node
            enough += exchange.relief >= end.load[worst] - ceilings[worst]
            if terms.effort.left <= 0 or enough == ENOUGH_EXCHANGES:
                break
        if not best.entities:
            break
        apply(end, worst, other, best)


def _reduce_cost(end: Placement, terms: Terms) -> None:
    """Apply exchanges between pairs of nodes that lower the cost and add no overload, until none is left."""
    better = True
    while better and terms.effort.left > 0:
        better = False
        for one, two in combinations(end.receivers, 2):
            if terms.effort.left <= 0:
                break
            exchange = best_exchange(end, one, two, terms)
            if exchange.relief >= 0 and exchange.saved > 0 and exchange.entities:
                apply(end, one, two, exchange)
                better = True


def _costs(now: Placement, objective: Objective) -> list[float]:
    """The cost of moving each entity; for the objective weight, the number of moves breaks ties."""
    if objective == "moves":
        return [1.0] * len(now.weights)
    return [float(weight * len(now.weights) + 1) for weight in now.weights]


def _evaluate(now: Placement, end: Placement, limits: Limits, costs: Sequence[float]) -> SearchResult:
    overload = sum(max(0, end.load[node] - limits.load[node]) for node in end.receivers)
    cost = sum(costs[entity] for entity, node in enumerate(end.node_of) if node != now.node_of[entity])
    return SearchResult(end, misplaced(end), overload, cost)
