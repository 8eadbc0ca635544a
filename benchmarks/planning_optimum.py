"""The least movement for a balance, by CP-SAT: the proven minimum, or the lower bound that it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from math import ceil, floor
from typing import Any

from workmesh_flows.planning.moves import Objective


@dataclass(frozen=True)
class Case:
    """The weight and the node of each entity; one of ``nodes`` may have to be drained."""

    weights: Sequence[int]
    home: Sequence[int]
    nodes: int
    drain: int | None

    @property
    def receivers(self) -> list[int]:
        return [node for node in range(self.nodes) if node != self.drain]

    @property
    def bound(self) -> float:
        """The least weight of the busiest node."""
        return max(*self.weights, sum(self.weights) / len(self.receivers))

    @property
    def ceiling(self) -> int:
        """0.1 % more than the bound, or the bound rounded up to a whole unit if that is impossible."""
        ceiling = floor(1.001 * self.bound)
        return ceiling if ceiling * len(self.receivers) >= sum(self.weights) else ceil(self.bound)


def optimum(case: Case, objective: Objective, seconds: float) -> tuple[float, bool] | None:
    """The least moved weight or number of moves, and whether it is proven; None if OR-Tools is not installed."""
    try:
        cp_model: Any = import_module("ortools.sat.python.cp_model")
    except ImportError:
        return None
    model = cp_model.CpModel()
    on = [{node: model.new_bool_var("") for node in case.receivers} for _ in case.weights]
    for entity, choices in enumerate(on):
        model.add_exactly_one(choices.values())
        for node, chosen in choices.items():
            model.add_hint(chosen, case.home[entity] == node)
    for node in case.receivers:
        load = sum(weight * choices[node] for weight, choices in zip(case.weights, on, strict=True))
        model.add(load <= case.ceiling)
    costs = case.weights if objective == "weight" else [1] * len(case.weights)
    model.minimize(
        sum(
            cost * (1 - choices[home] if home in choices else 1)
            for cost, choices, home in zip(costs, on, case.home, strict=True)
        )
    )
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    status = solver.solve(model)
    return solver.best_objective_bound, status == cp_model.OPTIMAL
