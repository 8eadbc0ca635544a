"""Entities that have to leave go to the least loaded nodes; all others stay."""

from __future__ import annotations

from collections.abc import Sequence

from workmesh_flows.planning.moves import Objective
from workmesh_flows.planning.rebalance.eviction import Variation, evict
from workmesh_flows.planning.rebalance.filling import fill
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort
from workmesh_flows.planning.rebalance.target_load import Limits, TargetLoads

ATTEMPTS = 24
"""Ways to pack tight nodes that are tried."""
EFFORT = 200_000_000


def spread(now: Placement, shares: TargetLoads, limits: Limits, objective: Objective) -> Placement:
    """Move what is over the limits, and no more than that; where not all of it fits, what leaves the least behind."""
    best, least = now, None
    effort = Effort(EFFORT)
    room = max((now.max_load[node] - now.load[node] for node in now.takers), default=0)
    for attempt in range(ATTEMPTS):
        taste = Variation(attempt, objective, effort)
        leaving = evict(now, limits, taste, room)
        end = now.lifted(leaving)
        rest = fill(end, leaving, end.takers, end.max_load, taste) if attempt else leaving
        _evenly(end, rest, shares)
        left = sum(now.weights[entity] * len(now.weights) + 1 for entity in end.land(now.at))
        if least is None or left < least:
            best, least = end, left
        if not least or effort.left <= 0:
            break
    return best


def _evenly(end: Placement, entities: Sequence[int], shares: TargetLoads) -> None:
    """Heaviest first, each to the node that is then the least loaded for its capacity."""
    for entity in sorted(entities, key=lambda entity: (-end.weights[entity], entity)):
        if rooms := [node for node in end.takers if end.fits(entity, node)]:
            weight = end.weights[entity]
            end.move(entity, min(rooms, key=lambda node: (shares.of(node, end.load[node] + weight), node)))
