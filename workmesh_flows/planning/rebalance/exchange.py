"""Two nodes share anew what both hold, exactly: as little above their ceilings as can be, then as cheaply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort, SubsetSums

TRIES = 4
"""Of the best ways to share, how many are looked at where a node's max_entities may forbid some."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an exchange is measured by: each node's ceiling, and an entity's cost where it is not at home."""

    ceilings: Sequence[float]
    home: Sequence[int]
    costs: Sequence[float]
    effort: Effort


@dataclass(frozen=True, slots=True)
class Offer:
    """Entities that change sides, and by how much overload and cost fall."""

    relief: float = 0
    saved: float = 0
    entities: Sequence[int] = ()


def redistribute(now: Placement, one: int, two: int, terms: Terms) -> Offer:
    """The best way to share what both hold; an empty offer where there is none within their caps."""
    able = [entity for node in (one, two) for entity in now.movable_on(node) if now.weights[entity]]
    if not able:
        return Offer()
    costs = [
        terms.costs[entity] * ((terms.home[entity] != one) - (terms.home[entity] != two)) for entity in able
    ]
    if any(len(now.on[node]) >= now.max_count(node) for node in (one, two)):
        offer = _swap(now, (one, two), able, costs, terms)
        if offer.relief > 0:
            return offer
    offer, crowd = _share(now, (one, two), able, costs, terms)
    if crowd is None:
        return offer
    # Too many would be on one side: let each there cost more than all of the moves.
    each = (1 + 2 * sum(map(abs, costs))) * (1 if crowd == one else -1)
    offer, _ = _share(now, (one, two), able, [cost + each for cost in costs], terms)
    grown = sum(-1 if now.at[entity] == one else 1 for entity in offer.entities)
    offer = Offer(offer.relief, offer.saved + each * grown, offer.entities)
    return max(
        offer, _swap(now, (one, two), able, costs, terms), key=lambda offer: (offer.relief, offer.saved)
    )


def _swap(
    now: Placement, pair: tuple[int, int], able: Sequence[int], costs: Sequence[float], terms: Terms
) -> Offer:
    """One for one, which crowds nobody."""
    one, two = pair
    sides = [[index for index, entity in enumerate(able) if now.at[entity] == node] for node in pair]
    if not all(sides):
        return Offer()
    terms.effort.spend(1, len(sides[0]) * len(sides[1]), 0)
    weight, cost = np.array([now.weights[entity] for entity in able]), np.array(costs)
    shift = weight[sides[0]][:, None] - weight[sides[1]][None, :]
    over = np.maximum(now.load[one] - shift - float(terms.ceilings[one]), 0.0)
    over += np.maximum(now.load[two] + shift - float(terms.ceilings[two]), 0.0)
    over[(shift > 0) & (now.load[two] + shift > now.max_load[two])] = np.inf
    over[(shift < 0) & (now.load[one] - shift > now.max_load[one])] = np.inf
    saved = cost[sides[0]][:, None] - cost[sides[1]][None, :]
    best = int(np.argmax(np.where(over <= over.min(), saved, -np.inf)))
    row, column = divmod(best, len(sides[1]))
    before = sum(max(0, now.load[node] - terms.ceilings[node]) for node in pair)
    relief = before - float(over[row, column])
    return Offer(relief, float(saved[row, column]), [able[sides[0][row]], able[sides[1][column]]])


def apply(now: Placement, one: int, two: int, offer: Offer) -> None:
    """Let the entities change sides."""
    for entity in offer.entities:
        now.move(entity, one if now.at[entity] == two else two)


def _share(
    now: Placement, pair: tuple[int, int], able: Sequence[int], costs: Sequence[float], terms: Terms
) -> tuple[Offer, int | None]:
    """The offer, or the node that its best ways would crowd."""
    one, two = pair
    weights = [now.weights[entity] for entity in able]
    here = {entity for entity in able if now.at[entity] == one}
    fixed = now.load[one] - sum(now.weights[entity] for entity in here)
    limit = int(min(sum(weights), max(terms.ceilings[one], now.load[one]) - fixed))
    sums = SubsetSums(weights, costs, limit, terms.effort)
    at_one = fixed + sums.exact
    at_two = now.load[one] + now.load[two] - at_one
    over = np.maximum(at_one - terms.ceilings[one], 0) + np.maximum(at_two - terms.ceilings[two], 0)
    cells = np.flatnonzero(np.isfinite(sums.cost) & (at_two <= max(now.load[two], now.max_load[two])))
    before = sum(max(0, now.load[node] - terms.ceilings[node]) for node in pair)
    spent = sum(cost for entity, cost in zip(able, costs, strict=True) if entity in here)
    crowd = None
    for cell in cells[np.lexsort((sums.cost[cells], over[cells]))][:TRIES]:
        then = {able[index] for index in sums.subset(int(cell))}
        grown = len(then) - len(here)
        crowded = [
            node
            for node, more in ((one, grown), (two, -grown))
            if more > 0 and len(now.on[node]) + more > now.max_count(node)
        ]
        if not crowded:
            swapped = [entity for entity in able if (entity in then) != (entity in here)]
            return Offer(before - float(over[cell]), spent - float(sums.cost[cell]), swapped), None
        crowd = crowd if crowd is not None else crowded[0]
    return Offer(), crowd
