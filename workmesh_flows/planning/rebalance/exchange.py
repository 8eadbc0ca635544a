"""Redistributing the entities of two nodes by subset sums: least overload first, then lowest cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort, SubsetSums

ATTEMPTS = 4
"""Number of the best distributions that are checked against max_entities."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How an exchange is measured: the ceiling of each node, the cost of entities away from their origin."""

    ceilings: Sequence[float]
    origin: Sequence[int]
    costs: Sequence[float]
    effort: Effort


@dataclass(frozen=True, slots=True)
class Exchange:
    """Entities that two nodes exchange; ``relief`` is the decrease in overload, ``saved`` that in cost."""

    relief: float = 0
    saved: float = 0
    entities: Sequence[int] = ()


def best_exchange(now: Placement, one: int, two: int, terms: Terms) -> Exchange:
    """The best redistribution of the entities of two nodes; empty if there is none within their caps."""
    movable = [entity for node in (one, two) for entity in now.movable_on(node) if now.weights[entity]]
    if not movable:
        return Exchange()
    costs = [
        terms.costs[entity] * ((terms.origin[entity] != one) - (terms.origin[entity] != two))
        for entity in movable
    ]
    if any(len(now.entities_on[node]) >= now.max_count(node) for node in (one, two)):
        exchange = _swap(now, (one, two), movable, costs, terms)
        if exchange.relief > 0:
            return exchange
    exchange, overfull = _redistribute(now, (one, two), movable, costs, terms)
    if overfull is None:
        return exchange
    # One node would get too many entities: let each entity there cost more than all moves together.
    penalty = (1 + 2 * sum(map(abs, costs))) * (1 if overfull == one else -1)
    exchange, _ = _redistribute(now, (one, two), movable, [cost + penalty for cost in costs], terms)
    grown = sum(-1 if now.node_of[entity] == one else 1 for entity in exchange.entities)
    exchange = Exchange(exchange.relief, exchange.saved + penalty * grown, exchange.entities)
    return max(
        exchange,
        _swap(now, (one, two), movable, costs, terms),
        key=lambda exchange: (exchange.relief, exchange.saved),
    )


def _swap(
    now: Placement, pair: tuple[int, int], movable: Sequence[int], costs: Sequence[float], terms: Terms
) -> Exchange:
    """The best swap of one entity for one, which does not change the number of entities on a node."""
    one, two = pair
    sides = [[index for index, entity in enumerate(movable) if now.node_of[entity] == node] for node in pair]
    if not all(sides):
        return Exchange()
    terms.effort.spend(1, len(sides[0]) * len(sides[1]), 0)
    weight, cost = np.array([now.weights[entity] for entity in movable]), np.array(costs)
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
    return Exchange(relief, float(saved[row, column]), [movable[sides[0][row]], movable[sides[1][column]]])


def apply(now: Placement, one: int, two: int, exchange: Exchange) -> None:
    """Move each entity of the exchange to the other node."""
    for entity in exchange.entities:
        now.move(entity, one if now.node_of[entity] == two else two)


def _redistribute(
    now: Placement, pair: tuple[int, int], movable: Sequence[int], costs: Sequence[float], terms: Terms
) -> tuple[Exchange, int | None]:
    """The best exchange, or the node that would exceed its max_entities."""
    one, two = pair
    weights = [now.weights[entity] for entity in movable]
    here = {entity for entity in movable if now.node_of[entity] == one}
    fixed = now.load[one] - sum(now.weights[entity] for entity in here)
    limit = int(min(sum(weights), max(terms.ceilings[one], now.load[one]) - fixed))
    sums = SubsetSums(weights, costs, limit, terms.effort)
    at_one = fixed + sums.exact
    at_two = now.load[one] + now.load[two] - at_one
    over = np.maximum(at_one - terms.ceilings[one], 0) + np.maximum(at_two - terms.ceilings[two], 0)
    cells = np.flatnonzero(np.isfinite(sums.cost) & (at_two <= max(now.load[two], now.max_load[two])))
    before = sum(max(0, now.load[node] - terms.ceilings[node]) for node in pair)
    spent = sum(cost for entity, cost in zip(movable, costs, strict=True) if entity in here)
    first_overfull = None
    for cell in cells[np.lexsort((sums.cost[cells], over[cells]))][:ATTEMPTS]:
        then = {movable[index] for index in sums.subset(int(cell))}
        grown = len(then) - len(here)
        overfull = [
            node
            for node, more in ((one, grown), (two, -grown))
            if more > 0 and len(now.entities_on[node]) + more > now.max_count(node)
        ]
        if not overfull:
            changed = [entity for entity in movable if (entity in then) != (entity in here)]
            return Exchange(before - float(over[cell]), spent - float(sums.cost[cell]), changed), None
        first_overfull = first_overfull if first_overfull is not None else overfull[0]
    return Exchange(), first_overfull
