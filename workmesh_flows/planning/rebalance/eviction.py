"""Which entities leave a node that holds too much, or has to be emptied."""

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
    """How one attempt differs from the next: 0 is the plain one, the others vary by chance, each in its own way."""

    attempt: int
    objective: Objective
    effort: Effort

    def random(self) -> Random:
        return Random(self.attempt)  # noqa: S311 - the same each time


def evict(now: Placement, limits: Limits, taste: Variation, room: float = inf) -> list[int]:
    """All that has to leave, so that no node is above its limits; nothing moves yet.

    Where it can be, nothing heavier than ``room`` is chosen.
    """
    chance, leaving = taste.random(), []
    for node in range(len(now.places)):
        need = now.load[node] - limits.load[node]
        surplus = len(now.on[node]) - limits.count[node]
        if need > 0 or surplus > 0:
            able = now.movable_on(node)
            light = [entity for entity in able if now.weights[entity] <= room]
            enough = len(light) >= surplus and sum(now.weights[entity] for entity in light) >= need
            leaving += _leave(now, light if enough else able, (need, surplus), taste, chance)
    return leaving


def _leave(
    now: Placement, able: Sequence[int], too_much: tuple[float, float], taste: Variation, chance: Random
) -> list[int]:
    need, surplus = too_much
    chosen: list[int] = []
    if need > 0:
        chosen = _subset(now, [entity for entity in able if now.weights[entity]], ceil(need), taste, chance)
    if len(chosen) < surplus:
        rest = sorted(set(able) - set(chosen), key=lambda entity: (now.weights[entity], entity))
        chosen += rest[: int(surplus) - len(chosen)]
    return chosen


def _subset(now: Placement, able: Sequence[int], need: int, taste: Variation, chance: Random) -> list[int]:
    """The subset that weighs at least what is needed at the least cost: in weight, then in entities, or the reverse."""
    weights = [now.weights[entity] for entity in able]
    if sum(weights) <= need:
        return list(able)
    wild = min(taste.attempt / 10, 1)
    costs = [1 + wild * chance.random() for _ in able]
    sums = SubsetSums(weights, costs, min(need + max(weights), sum(weights)), taste.effort)
    cells = np.flatnonzero((sums.exact >= need) & np.isfinite(sums.cost))
    over = sums.exact[cells] - need
    if taste.objective == "weight":
        first = int(np.argmin(over))
        if taste.attempt:
            first += min(chance.randrange(4) // 2, len(cells) - 1 - first)
        return [able[index] for index in sums.subset(int(cells[first]))]
    pace = (0.001, 0.01, 0.03, 0.1)[taste.attempt % 4]
    best = int(np.argmin(sums.cost[cells] + pace * over))
    return [able[index] for index in sums.subset(int(cells[best]))]
