"""Entities that left their nodes fill the gaps of others, as exactly as sums of their weights allow."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from workmesh_flows.planning.rebalance.eviction import Variation
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort, SubsetSums

CHOICE = 48
"""Entities of which an exact sum is looked for; the rest go to the widest gap, heaviest first."""


def fill(
    now: Placement, pool: Sequence[int], nodes: Sequence[int], ceilings: Sequence[float], taste: Variation
) -> list[int]:
    """Move what fits from the pool to these nodes, none above its ceiling; the rest stays and is returned.

    The smallest gap is filled first, while there is most to choose from; what the last one gets is all that is left.
    """
    chance = taste.random() if taste.attempt > 1 else None
    pool = sorted(pool, key=lambda entity: (-now.weights[entity], entity))
    exact = min(len(pool), max(CHOICE // 2, 12 * len(nodes)))
    if _is_tight(now, pool, nodes):
        kept = {index * len(pool) // exact for index in range(exact)}
    else:
        kept = set(range(len(pool) - exact, len(pool)))
    rest = _roughly(now, [entity for index, entity in enumerate(pool) if index not in kept], nodes, ceilings)
    rest = sorted(rest + [pool[index] for index in kept], key=lambda entity: (-now.weights[entity], entity))
    order = sorted(nodes, key=lambda node: (ceilings[node] - now.load[node], node))
    if chance:
        order.sort(key=lambda node: (ceilings[node] - now.load[node]) * chance.uniform(0.3, 1))
    for node in order:
        taken = set(_part(now, rest, (node, ceilings[node]), taste.effort, chance))
        for entity in taken:
            now.move(entity, node)
        rest = [entity for entity in rest if entity not in taken]
    return rest


def _is_tight(now: Placement, pool: Sequence[int], nodes: Sequence[int]) -> bool:
    """Whether max_entities leaves so little room that no node can be filled with light ones alone."""
    return sum(now.max_count(node) - len(now.on[node]) for node in nodes) < 2 * len(pool)


def _roughly(
    now: Placement, pool: Sequence[int], nodes: Sequence[int], ceilings: Sequence[float]
) -> list[int]:
    left = []
    for entity in pool:
        fitting = [
            node
            for node in nodes
            if now.fits(entity, node) and now.load[node] + now.weights[entity] <= ceilings[node]
        ]
        if fitting:
            now.move(entity, min(fitting, key=lambda node: (now.load[node] - ceilings[node], node)))
        else:
            left.append(entity)
    return left


def _part(
    now: Placement, pool: Sequence[int], place: tuple[int, float], effort: Effort, chance: Random | None
) -> list[int]:
    """The entities that fill the node's gap best, the fewest of them, and no more than it may hold."""
    node, ceiling = place
    gap = min(ceiling, now.max_load[node]) - now.load[node]
    room = min(now.max_count(node) - len(now.on[node]), len(pool))
    if room <= 0 or gap < 0:
        return []
    weightless = [entity for entity in pool if not now.weights[entity]]
    able = [entity for entity in pool if 0 < now.weights[entity] <= gap]
    total = sum(now.weights[entity] for entity in able)
    if total <= gap and len(able) + len(weightless) <= room:
        return able + weightless
    if not able:
        return weightless[: int(room)]
    if len(able) > CHOICE:
        able = [able[index * len(able) // CHOICE] for index in range(CHOICE)]
    wild = 1 if len(able) <= room else 0.99 / len(able)
    costs = [1 + (wild * chance.random() if chance else 0) for _ in able]
    sums = SubsetSums([now.weights[entity] for entity in able], costs, int(min(gap, total)), effort)
    fitting = np.isfinite(sums.cost) if len(able) <= room else sums.cost < room + 1
    cells = np.flatnonzero(fitting & (sums.exact <= gap))
    chosen = [able[index] for index in sums.subset(int(cells[np.argmax(sums.exact[cells])]))]
    return chosen + weightless[: int(room - len(chosen))]
