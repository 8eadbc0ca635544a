"""Meta's ``rebalancer`` on the same case: a local search with moves and swaps, first for balance, then for movement."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.planning_optimum import Case
from workmesh_flows.planning.moves import Objective

ABSOLUTE = 0
"""Release 1.0.4 accepts only the numbers of its choices, not their names."""


def rebalanced(case: Case, objective: Objective) -> list[int] | None:
    """The resulting node of each entity; None if the package is not installed, as before Python 3.12."""
    try:
        rebalancer: Any = import_module("rebalancer")
    except ImportError:
        return None
    sizes = {str(entity): float(weight) for entity, weight in enumerate(case.weights)}
    solver = rebalancer.ProblemSolver(service_name="bench", service_scope="bench")
    solver.disable_solution_summary()
    solver.set_object_name("entity").set_container_name("node")
    solver.set_assignment(
        {
            str(node): [str(entity) for entity, home in enumerate(case.home) if home == node]
            for node in range(case.nodes)
        }
    )
    solver.add_object_dimension("weight", sizes)
    solver.add_object_dimension("moves", dict.fromkeys(sizes, 1.0))
    limit = {
        "type": ABSOLUTE,
        "globalLimit": float(case.ceiling),
        "scopeItemLimits": {} if case.drain is None else {str(case.drain): 0.0},
    }
    solver.add_goal(
        {"capacitySpec": {"name": "balance", "scope": "node", "dimension": "weight", "limit": limit}}, 1.0, 0
    )
    least = {"name": "movement", "scope": "node", "dimension": objective}
    solver.add_goal({"minimizeMovementSpec": least}, 1.0, 1)
    ways: list[dict[str, Any]] = [{"singleMoveTypeSpec": {}}, {"swapMoveTypeSpec": {}}]
    solver.add_solver({"localSearchSolverSpec": {"moveTypeList": ways, "solveTime": 10}})
    with _silence():
        assignment = solver.solve()["assignment"]
    return [int(assignment[str(entity)]) for entity in range(len(sizes))]


@contextmanager
def _silence() -> Iterator[None]:
    """Hide the log that its C++ part writes to standard error."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
