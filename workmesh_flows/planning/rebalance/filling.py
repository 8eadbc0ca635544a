"""Filling underloaded nodes with detached entities, as exactly as subset sums of their weights allow."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from workmesh_flows.planning.rebalance.eviction import Variation
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort, SubsetSums

EXACT_ITEMS = 48
"""Number of entities that subset sums choose from; the other entities are placed by worst fit decreasing."""


def fill(
    now: Placement, pool: Sequence[int], nodes: Sequence[int], ceilings: Sequence[float], variation: Variation
) -> list[int]:
    """Move entities of the pool to the nodes, none above its ceiling; return the entities that remain.

    The node with the smallest gap is filled first, while there is most to choose from.
    """
    random = variation.random() if variation.attempt > 1 else None
    pool = sorted(pool, key=lambda entity: (-now.weights[entity], entity))
    exact = min(len(pool), max(EXACT_ITEMS // 2, 12 * len(nodes)))
    if _is_tight(now, pool, nodes):
        for_subsets = {index * len(pool) // exact for index in range(exact)}
    else:
        for_subsets = set(range(len(pool) - exact, len(pool)))
    rest = _widest_gap_first(
        now, [entity for index, entity in enumerate(pool) if index not in for_subsets], nodes, ceilings
    )
    rest = sorted(
        rest + [pool[index] for index in for_subsets], key=lambda entity: (-now.weights[entity], entity)
    )
    order = sorted(nodes, key=lambda node: (ceilings[node] - now.load[node], node))
    if random:
        order.sort(key=lambda node: (ceilings[node] - now.load[node]) * random.uniform(0.3, 1))
    for node in order:
        taken = set(_best_subset(now, rest, (node, ceilings[node]), variation.effort, random))
        for entity in taken:
            now.move(entity, node)
        rest = [entity for entity in rest if entity not in taken]
    return rest


def _is_tight(now: Placement, pool: Sequence[int], nodes: Sequence[int]) -> bool:
    """Whether max_entities leaves so few slots that light entities alone cannot fill a node."""
    return sum(now.max_count(node) - len(now.entities_on[node]) for node in nodes) < 2 * len(pool)


def _widest_gap_first(
    now: Placement, pool: Sequence[int], nodes: Sequence[int], ceilings: Sequence[float]
) -> list[int]:
    """Move each entity to the node with the widest gap (worst fit decreasing); return the others."""
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


def _best_subset(
    now: Placement, pool: Sequence[int], target: tuple[int, float], effort: Effort, random: Random | None
) -> list[int]:
    """The smallest set of entities that best fills the gap between a node's load and its ceiling."""
    node, ceiling = target
    gap = min(ceiling, now.max_load[node]) - now.load[node]
    slots = min(now.max_count(node) - len(now.entities_on[node]), len(pool))
    if slots <= 0 or gap < 0:
        return []
    weightless = [entity for entity in pool if not now.weights[entity]]
    able = [entity for entity in pool if 0 < now.weights[entity] <= gap]
    total = sum(now.weights[entity] for entity in able)
    if total <= gap and len(able) + len(weightless) <= slots:
        return able + weightless
    if not able:
        return weightless[: int(slots)]
    if len(able) > EXACT_ITEMS:
        able = [able[index * len(able) // EXACT_ITEMS] for index in range(EXACT_ITEMS)]
    noise = 1 if len(able) <= slots else 0.99 / len(able)
    costs = [1 + (noise * random.random() if random else 0) for _ in able]
    sums = SubsetSums([now.weights[entity] for entity in able], costs, int(min(gap, total)), effort)
    fitting = np.isfinite(sums.cost) if len(able) <= slots else sums.cost < slots + 1
    cells = np.flatnonzero(fitting & (sums.exact <= gap))
    chosen = [able[index] for index in sums.subset(int(cells[np.argmax(sums.exact[cells])]))]
    return chosen + weightless[: int(slots - len(chosen))]
