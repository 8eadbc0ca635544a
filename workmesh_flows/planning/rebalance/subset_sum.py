"""Which sums a set of weights can make, and the cheapest way to each: subset sums by dynamic programming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(slots=True)
class Effort:
    """Work that may still be spent, in about a nanosecond: so a plan's time has a limit without a clock."""

    left: float

    def spend(self, rows: int, cells: int, unit: int) -> None:
        self.left -= rows * (7_000 + 3 * cells if unit == 1 else 30_000 + 12 * cells)


CELLS = 8192
"""Sums that are told apart; where the limit is larger, one exact sum stands for each bucket of them."""


class SubsetSums:
    """The cheapest subset for every sum from 0 to a limit; among equals the one that was found first."""

    def __init__(self, weights: Sequence[int], costs: Sequence[float], limit: int, effort: Effort) -> None:
        """Reckon all of it; weights are 1 or more, costs may be below 0."""
        self._weights = weights
        self.unit = limit // CELLS + 1
        size = limit // self.unit + 1
        effort.spend(len(weights), size, self.unit)
        self.cost = np.full(size, np.inf)
        self.cost[0] = 0
        self._beyond = np.zeros(size, np.int64)
        self._taken = np.zeros((len(weights), size), bool)
        add = self._add_bucketed if self.unit > 1 else self._add
        for index, (weight, cost) in enumerate(zip(weights, costs, strict=True)):
            if weight <= limit:
                add(index, weight, cost)

    @property
    def exact(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The sum that each cell stands for, where its cost is finite."""
        return np.arange(len(self.cost)) * self.unit + self._beyond

    def subset(self, cell: int) -> list[int]:
        """The places, in the weights, of those that make up the sum of a cell."""
        rest, chosen = cell * self.unit + int(self._beyond[cell]), []
        for index in reversed(range(len(self._weights))):
            if self._taken[index, rest // self.unit]:
                chosen.append(index)
                rest -= self._weights[index]
        return chosen

    def _add(self, index: int, weight: int, cost: float) -> None:
        with_it = self.cost[:-weight] + cost
        np.less(with_it, self.cost[weight:], out=self._taken[index, weight:])
        np.minimum(with_it, self.cost[weight:], out=self.cost[weight:])

    def _add_bucketed(self, index: int, weight: int, cost: float) -> None:
        """Go by the exact sums, so that no error adds up: a sum ends in the cell ``weight`` further on, or the next."""
        costs, size = self.cost + cost, len(self.cost)
        shift, beyond = divmod(weight, self.unit)
        sums = self._beyond + beyond
        carry = sums >= self.unit
        for step, mask, lost in ((shift, ~carry, 0), (shift + 1, carry, self.unit)):
            if step < size:
                better = mask[: size - step] & (costs[: size - step] < self.cost[step:])
                np.copyto(self.cost[step:], costs[: size - step], where=better)
                np.copyto(self._beyond[step:], sums[: size - step] - lost, where=better)
                self._taken[index, step:] |= better
