"""Rebalance plans compared with proven minima, with another planner, and with their time budget."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from statistics import mean
from time import perf_counter

from benchmarks.planning_optimum import Case, optimum
from benchmarks.planning_rebalancer import rebalanced
from workmesh_flows.planning.moves import MovePlan, Objective, PlannerEntity, PlannerNode
from workmesh_flows.planning.rebalance.plan import plan_rebalance

SEEDS = range(12)
OBJECTIVES: tuple[Objective, ...] = ("weight", "moves")
TOLERANCE = 0.001
SECONDS: dict[Objective, float] = {"weight": 30, "moves": 5}
"""Seconds for a proof. Without a drained node the fewest moves are rarely proven in minutes: then the bound counts."""
SIZES = ((2_000, 50, 0.2), (10_000, 100, 1.0))


def measure() -> None:
    """Print a line for each case; a ratio below 1 means that Workmesh moves less."""
    print(
        f"\n{'200 entities, 10 nodes, 0.1 %':32}{'busiest/bound':>15}{'moved/least':>13}{'worst':>8}{'proven':>8}"
        f"{'rebalancer: busiest':>21}{'moved/least':>13}{'ours/its':>10}"
    )
    for objective in OBJECTIVES:
        for drain in (True, False):
            cases = [case(seed, 200, 10, drain=drain) for seed in SEEDS]
            _quality(f"{objective}, {'one drained' if drain else 'none drained'}", cases, objective)
    print(f"\n{'seconds for a plan':32}{'worst':>9}{'budget':>9}")
    for entities, nodes, budget in SIZES:
        for objective in OBJECTIVES:
            spent = max(_seconds(case(seed, entities, nodes), objective) for seed in SEEDS)
            print(f"{f'{entities:,} x {nodes}, {objective}':32}{spent:9.3f}{budget:9.1f}")


def case(seed: int, entities: int, nodes: int, *, drain: bool = True) -> Case:
    """Lognormal weights on random nodes, except a fifth of new, empty nodes; the first node may have to be drained."""
    chance = Random(seed)  # noqa: S311 - reproducible, not secret
    weights = [max(1, round(chance.lognormvariate(3, 1))) for _ in range(entities)]
    home = [chance.randrange(nodes - nodes // 5) for _ in weights]
    return Case(weights, home, nodes, 0 if drain else None)


def plan(case: Case, objective: Objective) -> MovePlan:
    """The plan of Workmesh; planning again after it must move nothing."""
    held, places = _facts(case, case.home)
    made = plan_rebalance(held, places, tolerance=TOLERANCE, objective=objective)
    again, _ = _facts(case, _after(case, made))
    assert not plan_rebalance(again, places, tolerance=TOLERANCE, objective=objective).moves
    return made


def _quality(title: str, cases: Sequence[Case], objective: Objective) -> None:
    ends = [_after(case, plan(case, objective)) for case in cases]
    ours = [_moved(case, end, objective) for case, end in zip(cases, ends, strict=True)]
    line = f"{title:32}{max(map(_busiest, cases, ends)):15.4f}"
    least = [optimum(case, objective, SECONDS[objective]) for case in cases]
    known = [found for found in least if found]
    if known:
        ratios = [moved / found[0] for moved, found in zip(ours, known, strict=True)]
        line += f"{mean(ratios):13.3f}{max(ratios):8.3f}{sum(proven for _, proven in known):5}/{len(cases)}"
    else:
        line += f"{'OR-Tools is not installed':>29}"
    theirs = [end for end in (rebalanced(case, objective) for case in cases) if end]
    if theirs:
        moved = [_moved(case, end, objective) for case, end in zip(cases, theirs, strict=True)]
        line += f"{max(map(_busiest, cases, theirs)):21.4f}"
        line += (
            f"{mean(one / found[0] for one, found in zip(moved, known, strict=True)):13.3f}"
            if known
            else f"{'':13}"
        )
        line += f"{mean(one / other for one, other in zip(ours, moved, strict=True)):10.3f}"
    else:
        line += f"{'not installed: it needs Python 3.12 or newer':>46}"
    print(line, flush=True)


def _facts(case: Case, at: Sequence[int]) -> tuple[list[PlannerEntity], list[PlannerNode]]:
    held = [
        PlannerEntity(entity, f"n{node:03}", weight)
        for entity, (node, weight) in enumerate(zip(at, case.weights, strict=True))
    ]
    return held, [PlannerNode(f"n{node:03}", drain=node == case.drain) for node in range(case.nodes)]


def _after(case: Case, made: MovePlan) -> list[int]:
    end = list(case.home)
    for move in made.moves:
        end[move.entity] = int(move.target[1:])
    return end


def _busiest(case: Case, end: Sequence[int]) -> float:
    """The weight of the busiest node over its minimum in whole units, within 0.1 %."""
    loads = [
        sum(weight for weight, node in zip(case.weights, end, strict=True) if node == one)
        for one in range(case.nodes)
    ]
    assert case.drain is None or not loads[case.drain]
    return max(loads) / max(case.bound, case.ceiling / (1 + TOLERANCE))


def _moved(case: Case, end: Sequence[int], objective: Objective) -> int:
    moved = [weight for weight, was, now in zip(case.weights, case.home, end, strict=True) if was != now]
    return sum(moved) if objective == "weight" else len(moved)


def _seconds(case: Case, objective: Objective) -> float:
    held, places = _facts(case, case.home)
    began = perf_counter()
    plan_rebalance(held, places, tolerance=TOLERANCE, objective=objective)
    return perf_counter() - began
