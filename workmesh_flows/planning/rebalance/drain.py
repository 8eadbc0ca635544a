"""Moving only the entities that exceed a limit, to the least loaded nodes; all others stay."""

from __future__ import annotations

from collections.abc import Sequence

from workmesh_flows.planning.moves import Objective
from workmesh_flows.planning.rebalance.eviction import Variation, evict
from workmesh_flows.planning.rebalance.filling import fill
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort
from workmesh_flows.planning.rebalance.target_load import Limits, TargetLoads

ATTEMPTS = 24
"""Number of attempts to pack all entities onto tight nodes."""
EFFORT = 200_000_000
"""Computation budget of a drain, in units of `Effort`."""


def relieve(now: Placement, limits: Limits, targets: TargetLoads, objective: Objective) -> Placement:
    """Move only what exceeds the limits; if not all of it fits, leave as little weight as possible."""
    best, least = now, None
    effort = Effort(EFFORT)
    heaviest = max((now.max_load[node] - now.load[node] for node in now.receivers), default=0)
    for attempt in range(ATTEMPTS):
        variation = Variation(attempt, objective, effort)
        leaving = evict(now, limits, variation, heaviest)
        end = now.detach(leaving)
        rest = fill(end, leaving, end.receivers, end.max_load, variation) if attempt else leaving
        _place_least_loaded(end, rest, targets)
        left = sum(now.weights[entity] * len(now.weights) + 1 for entity in end.reattach(now.node_of))
        if least is None or left < least:
            best, least = end, left
        if not least or effort.left <= 0:
            break
    return best


def _place_least_loaded(end: Placement, entities: Sequence[int], targets: TargetLoads) -> None:
    """Move the heaviest entity first, each to the node with the lowest relative load (Graham, 1969)."""
    for entity in sorted(entities, key=lambda entity: (-end.weights[entity], entity)):
        if fitting := [node for node in end.receivers if end.fits(entity, node)]:
            weight = end.weights[entity]
            end.move(
                entity, min(fitting, key=lambda node: (targets.relative(node, end.load[node] + weight), node))
            )
