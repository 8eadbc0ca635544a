"""Selecting entities that leave nodes above their limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from random import Random

import numpy as np

from workmesh_flows.planning.moves import Objective
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort, SubsetSums
from workmesh_flows.planning.rebalance.target_load import Limits


@dataclass(frozen=True, slots=True)
class Variation:
    """How an attempt of a search differs from others: attempt 0 is deterministic, others are randomized."""

    attempt: int
    objective: Objective
    effort: Effort

    def random(self) -> Random:
        """A generator seeded by the attempt, so that each run gives the same plan."""
        return Random(self.attempt)  # noqa: S311 - not used for security


def evict(now: Placement, limits: Limits, variation: Variation, heaviest: float = inf) -> list[int]:
    """Return the entities that must leave so that no node exceeds its limits; move nothing.

    Entities heavier than ``heaviest`` are selected only if the others are not enough.
    """
    random, leaving = variation.random(), []
    for node in range(len(now.nodes)):
        weight = now.load[node] - limits.load[node]
        count = len(now.entities_on[node]) - limits.count[node]
        if weight > 0 or count > 0:
            movable = now.movable_on(node)
            light = [entity for entity in movable if now.weights[entity] <= heaviest]
            enough = len(light) >= count and sum(now.weights[entity] for entity in light) >= weight
            leaving += _select(now, light if enough else movable, (weight, count), variation, random)
    return leaving


def _select(
    now: Placement,
    candidates: Sequence[int],
    excess: tuple[float, float],
    variation: Variation,
    random: Random,
) -> list[int]:
    """Entities that reduce weight and number by ``excess``: by subset sums first, then the lightest."""
    weight, count = excess
    chosen: list[int] = []
    if weight > 0:
        weighing = [entity for entity in candidates if now.weights[entity]]
        chosen = _subset(now, weighing, ceil(weight), variation, random)
    if len(chosen) < count:
        rest = sorted(set(candidates) - set(chosen), key=lambda entity: (now.weights[entity], entity))
        chosen += rest[: int(count) - len(chosen)]
    return chosen


def _subset(
    now: Placement, candidates: Sequence[int], need: int, variation: Variation, random: Random
) -> list[int]:
    """The subset with the needed weight that has the least weight, or number, depending on the objective."""
    weights = [now.weights[entity] for entity in candidates]
    if sum(weights) <= need:
        return list(candidates)
    noise = min(variation.attempt / 10, 1)
    costs = [1 + noise * random.random() for _ in candidates]
    sums = SubsetSums(weights, costs, min(need + max(weights), sum(weights)), variation.effort)
    cells = np.flatnonzero((sums.exact >= need) & np.isfinite(sums.cost))
    surplus = sums.exact[cells] - need
    if variation.objective == "weight":
        first = int(np.argmin(surplus))
        if variation.attempt:
            first += min(random.randrange(4) // 2, len(cells) - 1 - first)
        return [candidates[index] for index in sums.subset(int(cells[first]))]
    price = (0.001, 0.01, 0.03, 0.1)[variation.attempt % 4]
    best = int(np.argmin(sums.cost[cells] + price * surplus))
    return [candidates[index] for index in sums.subset(int(cells[best]))]
