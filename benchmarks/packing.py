"""Tight packings: how many instances that CP-SAT proves feasible does the planner solve completely?

An instance has 60 entities, 30 of each of two services, and 6 nodes. Weights are lognormal (mu 3, sigma 1), rounded,
at least 1. The fill is a service's total weight over its total ``max_weight``. The caps on entities over both services
sum up to 60 to 66, in turn.

- ``even``: each node has the same caps. Many of these are infeasible, mostly because an entity exceeds every cap.
- ``dealt``: entities are dealt to nodes at random, and the caps of a node are its weight divided by the fill; spare
  entities go to random nodes. These instances are feasible, and the nodes differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from math import ceil, floor
from random import Random
from time import perf_counter
from typing import Any

from workmesh_flows import EntityWeight
from workmesh_flows.planning.assignment.packing import BUDGET
from workmesh_flows.planning.assignment.plan import Load, Part, plan_together

ENTITIES, NODES, SERVICES, CASES = 60, 6, 2, 300
PROVEN_WITHIN = 20.0
"""Seconds for one proof."""


@dataclass(frozen=True)
class Instance:
    """Entities as pairs (service, weight); weight caps by service and node; entity caps by node."""

    entities: tuple[tuple[int, int], ...]
    caps: tuple[tuple[int, ...], ...]
    shared: tuple[int, ...]

    def parts(self) -> list[Part]:
        """The instance as arguments of the planner."""
        return [
            Part(
                str(service),
                EntityWeight(lambda entity: entity),
                [(number, weight) for number, (of, weight) in enumerate(self.entities) if of == service],
                [Load(f"n{node}", max_weight=cap) for node, cap in enumerate(self.caps[service])],
            )
            for service in range(SERVICES)
        ]


def instance(kind: str, fill: float, number: int) -> Instance:
    """An instance of a kind, reproducible by its number."""
    dice = Random(number)  # noqa: S311 - reproducible, not secret
    entities = tuple((at % SERVICES, max(1, round(dice.lognormvariate(3, 1)))) for at in range(ENTITIES))
    spare = number % 7
    if kind == "even":
        totals = [sum(weight for of, weight in entities if of == service) for service in range(SERVICES)]
        caps = tuple((ceil(total / fill / NODES),) * NODES for total in totals)
        places = ENTITIES + spare
        return Instance(entities, caps, tuple(places // NODES + (at < places % NODES) for at in range(NODES)))
    dealt = [dice.randrange(NODES) for _ in entities]
    caps = tuple(
        tuple(
            floor(
                sum(w for (of, w), at in zip(entities, dealt, strict=True) if (of, at) == (service, node))
                / fill
            )
            for node in range(NODES)
        )
        for service in range(SERVICES)
    )
    more = [dice.randrange(NODES) for _ in range(spare)]
    return Instance(entities, caps, tuple((dealt + more).count(node) for node in range(NODES)))


def solved(case: Instance, budget: int = BUDGET) -> bool:
    """Whether the plan assigns all entities; its caps are checked here."""
    plans = plan_together(
        case.parts(), {f"n{node}": free for node, free in enumerate(case.shared)}, budget=budget
    )
    for node in range(NODES):
        held = [[key for key, name in plan.assigned if name == f"n{node}"] for plan in plans]
        for keys, caps in zip(held, case.caps, strict=True):
            assert sum(case.entities[key][1] for key in keys) <= caps[node]
        assert sum(map(len, held)) <= case.shared[node]
    return not any(plan.unassigned for plan in plans)


def feasible(case: Instance) -> bool | None:
    """Whether CP-SAT finds a solution; None if it does not decide in time."""
    cp: Any = import_module("ortools.sat.python.cp_model")
    model = cp.CpModel()
    at = [[model.new_bool_var("") for _ in range(NODES)] for _ in case.entities]
    for row in at:
        model.add_exactly_one(row)
    for node in range(NODES):
        model.add(sum(row[node] for row in at) <= case.shared[node])
        for service in range(SERVICES):
            held = sum(w * row[node] for (of, w), row in zip(case.entities, at, strict=True) if of == service)
            model.add(held <= case.caps[service][node])
    solver = cp.CpSolver()
    solver.parameters.max_time_in_seconds = PROVEN_WITHIN
    solver.parameters.num_workers = 1
    return {cp.OPTIMAL: True, cp.FEASIBLE: True, cp.INFEASIBLE: False}.get(solver.solve(model))


def measure(cases: int = CASES) -> None:
    """Print, for each kind and fill, the feasible instances, and how many of them the planner and one pass solve."""
    try:
        import_module("ortools")
    except ImportError:
        print("packing: skipped, because ortools is not installed (group bench of pyproject.toml)")
        return
    print(
        f"{'packing, 60 entities x 6 nodes':32}{'fill':>6}{'cases':>7}{'feasible':>10}{'unknown':>9}", end=""
    )
    print(f"{'ours':>7}{'one pass':>10}{'longest':>10}")
    for kind in ("even", "dealt"):
        for fill in (0.90, 0.95, 0.98):
            _print(kind, fill, [instance(kind, fill, number) for number in range(cases)])


def _print(kind: str, fill: float, cases: list[Instance]) -> None:
    proofs = [feasible(case) for case in cases]
    good = [case for case, proof in zip(cases, proofs, strict=True) if proof]
    took, ours = zip(*_timed(good), strict=True)
    once = sum(solved(case, budget=0) for case in good)
    print(
        f"{kind:32}{fill:6.2f}{len(cases):7}{len(good):10}{proofs.count(None):9}{sum(ours):7}{once:10}",
        end="",
    )
    print(f"{max(took):8.2f} s")


def _timed(cases: list[Instance]) -> Iterator[tuple[float, bool]]:
    for case in cases:
        began = perf_counter()
        good = solved(case)
        yield perf_counter() - began, good


if __name__ == "__main__":
    measure()
