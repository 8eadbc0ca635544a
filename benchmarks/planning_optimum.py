"""The least that has to move for a balance, by CP-SAT: proven, or the bound it came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from math import ceil, floor
from typing import Any

from workmesh_flows.planning.moves import Objective


@dataclass(frozen=True)
class Case:
    """Weights and the node of each entity; of ``nodes`` one may have to be emptied."""

    weights: Sequence[int]
    home: Sequence[int]
    nodes: int
    drain: int | None

    @property
    def receivers(self) -> list[int]:
        return [node for node in range(self.nodes) if node != self.drain]

    @property
    def bound(self) -> float:
        """What the busiest node holds at the least."""
        return max(*self.weights, sum(self.weights) / len(self.receivers))

    @property
    def ceiling(self) -> int:
        """0.1 % more than the bound, or, where whole numbers do not go into that, the bound rounded up."""
        ceiling = floor(1.001 * self.bound)
        return ceiling if ceiling * len(self.receivers) >= sum(self.weights) else ceil(self.bound)


def optimum(case: Case, objective: Objective, seconds: float) -> tuple[float, bool] | None:
    """Moved weight or number of moves at the least, and whether that is proven; None where OR-Tools is missing."""
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
