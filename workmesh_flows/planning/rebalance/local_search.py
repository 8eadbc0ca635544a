"""The search for where every entity is to end: several attempts, the best of them mended and made cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf
from typing import TypeAlias

from workmesh_flows.planning.moves import Objective
from workmesh_flows.planning.rebalance.eviction import Variation, evict
from workmesh_flows.planning.rebalance.exchange import Offer, Terms, apply, redistribute
from workmesh_flows.planning.rebalance.filling import fill
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort
from workmesh_flows.planning.rebalance.target_load import Limits, TargetLoads, balanced

ATTEMPTS = 40
"""At one target; the next ones seldom find what these do not."""
EFFORT = 50_000_000, 40_000
"""For a plan, and more for each entity: 0.06 s for 200 of them, 0.45 s for 10,000."""
OFFERS = 6
"""Exchanges that settle an overloaded node, of which the cheapest is taken."""
NEAR = 0.001
"""By how much an attempt may cost more than the least and end the search, for each attempt there was."""
LEAST = 0.001
"""Where the target is out of reach, the busiest node has to fall by half of the tolerance, or of this."""
HALVINGS = 7
"""Steps in the search for the best balance where the target is out of reach."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Where an attempt ended, and how good that is: the less the better, in this order."""

    end: Placement
    misplaced: int
    overload: float
    cost: float

    @property
    def rank(self) -> tuple[int, float, float]:
        return self.misplaced, self.overload, self.cost


def improve(now: Placement, shares: TargetLoads, tolerance: float, objective: Objective) -> Placement:
    """A balanced end, or the nearest to one that was found; what stands now, where nothing is nearer."""
    target = balanced(now, shares, 1 + tolerance)
    if not distance(now, shares, target) > _THERE:
        return now
    effort = (EFFORT[0] + EFFORT[1] * len(now.at)) / 2
    best = _search(now, shares, target, objective, Effort(effort))
    if best.overload:
        best = _nearer(now, shares, tolerance, objective, best)
    there, here = distance(best.end, shares, target), distance(now, shares, target)
    return best.end if _worth(there, here, tolerance) else now


def _worth(there: Distance, here: Distance, tolerance: float) -> bool:
    """Whether it is nearer by enough to move for it."""
    if there[0] != here[0]:
        return there[0] < here[0]
    step = max(tolerance, LEAST) / 2
    return there[1:] < here[1:] and (there[1] <= here[1] - step or there[2] <= here[2] / 4)


_THERE = 0, 0.0, 0.0
Distance: TypeAlias = tuple[int, float, float]


def distance(here: Placement, shares: TargetLoads, target: Limits) -> Distance:
    """How far from its limits a standing is: what is where it must not be, the busiest node, and the overload."""
    over = [node for node in here.takers if here.load[node] > target.load[node]]
    return (
        misplaced(here),
        max((shares.of(node, here.load[node]) for node in over), default=0.0),
        sum(here.load[node] - target.load[node] for node in over),
    )


def misplaced(here: Placement) -> int:
    """Movable entities on drained nodes, and what is over caps, in entities and units of weight."""
    count = 0
    for node, place in enumerate(here.places):
        if place.drain:
            count += len(here.movable_on(node))
        elif here.over_cap(node):
            weight, entities = (
                here.load[node] - here.max_load[node],
                len(here.on[node]) - here.max_count(node),
            )
            count += int(max(0, weight) + max(0, entities))
    return count


def _nearer(
    now: Placement, shares: TargetLoads, tolerance: float, objective: Objective, best: SearchResult
) -> SearchResult:
    """Halve the way between the target and the busiest node for as long as that finds something."""
    target = balanced(now, shares, 1 + tolerance)
    low, high = 1 + tolerance, distance(best.end, shares, target)[1]
    effort = (EFFORT[0] + EFFORT[1] * len(now.at)) / 2 / HALVINGS
    still = distance(now, shares, target)
    if still[0] <= best.misplaced:
        high = min(high, still[1])
    for _ in range(HALVINGS):
        if not low < high < inf:
            break
        middle = (low + high) / 2
        found = _search(now, shares, balanced(now, shares, middle), objective, Effort(effort))
        reached = distance(found.end, shares, target)[1]
        if found.misplaced <= best.misplaced and reached < high:
            best, high = found, reached
        else:
            low = middle
    return best


def _search(
    now: Placement, shares: TargetLoads, target: Limits, objective: Objective, effort: Effort
) -> SearchResult:
    costs = _costs(now, objective)
    terms = Terms(target.load, now.at, costs, effort)
    bound, best, attempt = 0.0, None, 0
    while best is None or (
        effort.left > 0 and attempt < ATTEMPTS and best.rank > (0, 0, bound * (1 + NEAR * attempt))
    ):
        taste = Variation(attempt, objective, effort)
        leaving = evict(now, target, taste)
        if not attempt:
            bound = sum(costs[entity] for entity in leaving)
        end = _attempt(now, shares, target, leaving, taste)
        outcome = _judge(now, end, target, costs)
        if outcome.overload and (best is None or outcome.overload < 2 * best.overload or not attempt % 4):
            _repair(end, terms)
            outcome = _judge(now, end, target, costs)
        if best is None or outcome.rank < best.rank:
            best = outcome
        attempt += 1
        effort.left -= 1_000 * len(now.at)
    if best.cost > bound * (1 + NEAR):
        _cheapen(best.end, terms)
        best = _judge(now, best.end, target, costs)
    return best


def _attempt(
    now: Placement, shares: TargetLoads, target: Limits, leaving: Sequence[int], taste: Variation
) -> Placement:
    """Fill the nodes below their even share; in every other attempt, those that shed too much as well."""
    end = now.lifted(leaving)
    below = [
        node
        for node in end.takers
        if end.load[node] < target.load[node] and (taste.attempt % 2 or now.load[node] < shares.fair[node])
    ]
    for entity in fill(end, leaving, below, target.load, taste):
        _place(end, entity, target)
    end.land(now.at)
    return end


def _place(end: Placement, entity: int, target: Limits) -> None:
    """Put what found no gap where it does least harm; what fits nowhere goes home."""
    if rooms := [node for node in end.takers if end.fits(entity, node)]:
        end.move(entity, min(rooms, key=lambda node: (end.load[node] - target.load[node], node)))


def _repair(end: Placement, terms: Terms) -> None:
    """Let overloaded nodes share anew with others, one after the other, while that helps."""
    takers, ceilings = end.takers, terms.ceilings
    while terms.effort.left > 0 and (over := [node for node in takers if end.load[node] > ceilings[node]]):
        worst = max(over, key=lambda node: (end.load[node] - ceilings[node], -node))
        best, other, enough = Offer(), worst, 0
        below = [node for node in takers if end.load[node] < ceilings[node]]
        for node in sorted(below, key=lambda node: (end.load[node] - ceilings[node], node)):
            offer = redistribute(end, worst, node, terms)
            if offer.relief > 0 and (offer.relief, offer.saved) > (best.relief, best.saved):
                best, other = offer, node
            enough += offer.relief >= end.load[worst] - ceilings[worst]
            if terms.effort.left <= 0 or enough == OFFERS:
                break
        if not best.entities:
            break
        apply(end, worst, other, best)


def _cheapen(end: Placement, terms: Terms) -> None:
    """Let pairs of nodes share anew where that costs less and overloads nobody more."""
    better = True
    while better and terms.effort.left > 0:
        better = False
        for one, two in combinations(end.takers, 2):
            if terms.effort.left <= 0:
                break
            offer = redistribute(end, one, two, terms)
            if offer.relief >= 0 and offer.saved > 0 and offer.entities:
                apply(end, one, two, offer)
                better = True


def _costs(now: Placement, objective: Objective) -> list[float]:
    """What a move costs; among equal weights the fewest moves."""
    if objective == "moves":
        return [1.0] * len(now.weights)
    return [float(weight * len(now.weights) + 1) for weight in now.weights]


def _judge(now: Placement, end: Placement, target: Limits, costs: Sequence[float]) -> SearchResult:
    overload = sum(max(0, end.load[node] - target.load[node]) for node in end.takers)
    cost = sum(costs[entity] for entity, node in enumerate(end.at) if node != now.at[entity])
    return SearchResult(end, misplaced(end), overload, cost)
