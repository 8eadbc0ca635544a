"""Subset sum by dynamic programming: the sums that weights can form, and the cheapest subset for each sum.

For large sums, the table has buckets of adjacent sums (as in approximation schemes for the knapsack problem),
and each bucket stores one exact sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(slots=True)
class Effort:
    """Remaining computation budget, in about nanoseconds: it limits the time of a plan without a clock."""

    left: float

    def spend(self, rows: int, cells: int, unit: int) -> None:
        self.left -= rows * (7_000 + 3 * cells if unit == 1 else 30_000 + 12 * cells)


CELLS = 8192
"""Largest number of cells; if the limit is larger, each cell is a bucket that stores one exact sum."""


class SubsetSums:
    """The cheapest subset for every sum from 0 to a limit; of equally cheap subsets the first one found."""

    def __init__(self, weights: Sequence[int], costs: Sequence[float], limit: int, effort: Effort) -> None:
        """Compute the table; weights are at least 1, costs may be negative."""
        self._weights = weights
        self.unit = limit // CELLS + 1
        size = limit // self.unit + 1
        effort.spend(len(weights), size, self.unit)
        self.cost = np.full(size, np.inf)
        self.cost[0] = 0
        self._offset = np.zeros(size, np.int64)
        self._taken = np.zeros((len(weights), size), bool)
        add = self._add_bucketed if self.unit > 1 else self._add
        for index, (weight, cost) in enumerate(zip(weights, costs, strict=True)):
            if weight <= limit:
                add(index, weight, cost)

    @property
    def exact(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The sum of each cell; valid where the cost of the cell is finite."""
        return np.arange(len(self.cost)) * self.unit + self._offset

    def subset(self, cell: int) -> list[int]:
        """The indexes of the weights that form the sum of a cell."""
        rest, chosen = cell * self.unit + int(self._offset[cell]), []
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
        """Add a weight to the exact sums, so that no error accumulates; a carry leads to the next cell."""
        costs, size = self.cost + cost, len(self.cost)
        shift, offset = divmod(weight, self.unit)
        offsets = self._offset + offset
        carry = offsets >= self.unit
        for step, mask, carried in ((shift, ~carry, 0), (shift + 1, carry, self.unit)):
            if step < size:
                better = mask[: size - step] & (costs[: size - step] < self.cost[step:])
                np.copyto(self.cost[step:], costs[: size - step], where=better)
                np.copyto(self._offset[step:], offsets[: size - step] - carried, where=better)
                self._taken[index, step:] |= better
