"""Planning which entities move, so that nodes are evenly loaded, within their caps, or drained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, get_args

from workmesh_flows.errors import UnknownName
from workmesh_flows.planning.moves import MovePlan, Objective, PlannerEntity, PlannerNode
from workmesh_flows.planning.rebalance import explanation
from workmesh_flows.planning.rebalance.drain import relieve
from workmesh_flows.planning.rebalance.explanation import PINNED
from workmesh_flows.planning.rebalance.local_search import distance, improve
from workmesh_flows.planning.rebalance.move_limit import limit_moves
from workmesh_flows.planning.rebalance.move_sequence import Goal, SequenceFacts, plan_sequence
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.target_load import (
    Limits,
    TargetLoads,
    balanced,
    drained,
    even_loads,
    within_caps,
    within_caps_and_drained,
)

__all__ = ["PINNED", "plan_drain", "plan_rebalance"]


def plan_rebalance(  # noqa: PLR0913 - each argument is one independent option of the plan
    entities: Sequence[PlannerEntity],
    nodes: Sequence[PlannerNode],
    *,
    tolerance: float = 0.01,
    objective: Objective = "weight",
    emergency: bool = False,
    sources: Collection[str] = (),
    pinned: Collection[Any] = (),
    max_moves: int | None = None,
    at_once: int | None = None,
) -> MovePlan:
    """Move every node to about its even share and drained nodes to zero, with as few moves as possible.

    No node gets more than its even share plus ``tolerance``. An entity heavier than the even share gets a
    node to itself, and the other nodes share the rest. Shares are proportional to max_weight if all receivers
    have one, or to max_entities if all entities count 1. If the balance cannot be reached, the plan comes as
    close as the local search finds; planning again after this plan moves nothing.

    Args:
        entities: all entities on the nodes; entities on other nodes are ignored.
        nodes: the nodes to plan for.
        tolerance: a fraction of the even share.
        objective: what to minimize: the moved weight, or the number of moves.
        emergency: only move what exceeds a cap.
        sources: only move entities of these nodes; of all nodes if empty.
        pinned: keys of entities that never move.
        max_moves: only the most useful moves; planning again continues from there.
        at_once: largest number of moves out of a node, and into a node, in one wave.

    Raises:
        UnknownName: a source is not among the nodes.
        ValueError: an argument is out of range, or a key or a node occurs twice.
    """
    _check(entities, nodes, objective, max_moves=max_moves, at_once=at_once)
    if not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance is a fraction of the even share, from 0 to 1, not {tolerance}")
    known = sorted(node.node for node in nodes)
    for name in sorted(sources):
        if name not in known:
            raise UnknownName("the mesh", "node", name, known)
    facts = SequenceFacts(entities, nodes, sources, pinned, at_once)
    if emergency:
        return _plan(facts, _minimal(within_caps, objective), within_caps, max_moves, _emergency_note)

    def goal_of(now: Placement) -> Goal:
        targets = even_loads(now)
        limits = balanced(now, targets, 1 + tolerance)
        return Goal(improve(now, targets, tolerance, objective), lambda here: distance(here, targets, limits))

    def note(end: Placement, targets: TargetLoads, moves: int) -> str:
        limits = balanced(end, even_loads(end), 1 + tolerance).load
        if any(end.load[node] > limits[node] for node in end.receivers):
            return f"no balance within {tolerance * 100:g} % was found"
        if explanation.busiest(end, targets) > 1 + tolerance and targets.heaviest > max(targets.even):
            return "the heaviest entity weighs more than the even share"
        return "" if moves else f"balanced within {tolerance * 100:g} %"

    return _plan(facts, goal_of, within_caps_and_drained, max_moves, note)


def plan_drain(  # noqa: PLR0913 - each argument is one independent option of the plan
    entities: Sequence[PlannerEntity],
    nodes: Sequence[PlannerNode],
    *,
    pinned: Collection[Any] = (),
    max_moves: int | None = None,
    at_once: int | None = None,
    objective: Objective = "weight",
) -> MovePlan:
    """Move the entities of drained nodes to the nodes with the lowest relative load; all others stay."""
    _check(entities, nodes, objective, max_moves=max_moves, at_once=at_once)
    facts = SequenceFacts(entities, nodes, (), pinned, at_once)
    return _plan(facts, _minimal(drained, objective), drained, max_moves, _drain_note)


def _minimal(limits_of: Callable[[Placement], Limits], objective: Objective) -> Callable[[Placement], Goal]:
    """The goal to move only what exceeds the limits."""

    def goal_of(now: Placement) -> Goal:
        limits = limits_of(now)

        def excess(here: Placement) -> tuple[float, ...]:
            weight = sum(max(0, load - limit) for load, limit in zip(here.load, limits.load, strict=True))
            return (
                weight
                + sum(
                    max(0, len(on) - most) for on, most in zip(here.entities_on, limits.count, strict=True)
                ),
            )

        return Goal(relieve(now, limits, even_loads(now), objective), excess)

    return goal_of


def _plan(
    facts: SequenceFacts,
    goal_of: Callable[[Placement], Goal],
    required: Callable[[Placement], Limits],
    max_moves: int | None,
    note_of: Callable[[Placement, TargetLoads, int], str],
) -> MovePlan:
    """Plan the moves; entities that stay above the ``required`` limits cannot move."""
    whole = made = plan_sequence(facts, goal_of)
    start = made.start
    targets = even_loads(start)
    if max_moves is not None and len(whole.steps) > max_moves:
        made = limit_moves(whole, targets, max_moves, facts.at_once)
    moves = explanation.moves(made, targets)
    if not start.entities:
        note = "there are no entities on these nodes"
    elif not start.receivers:
        note = "no node takes entities"
    elif made is not whole:
        note = "max_moves reached"
    else:
        note = note_of(made.end, targets, len(moves))
    return MovePlan(
        moves=moves,
        nodes=explanation.loads(start, made.end, targets),
        cannot_move=explanation.cannot_move(
            whole.end, required(whole.end), whole.blocked, facts, caps=required is not drained
        ),
        busiest=explanation.busiest(start, targets),
        busiest_after=explanation.busiest(made.end, targets),
        note=note,
    )


def _emergency_note(end: Placement, _: TargetLoads, moves: int) -> str:
    return (
        "" if moves or any(end.over_cap(node) for node in range(len(end.nodes))) else "no node is over a cap"
    )


def _drain_note(end: Placement, _: TargetLoads, moves: int) -> str:
    draining = [number for number, node in enumerate(end.nodes) if node.drain]
    if not draining:
        return "no node is drained"
    return "" if moves or any(end.entities_on[node] for node in draining) else "the drained nodes are empty"


def _check(
    entities: Sequence[PlannerEntity],
    nodes: Sequence[PlannerNode],
    objective: Objective,
    **at_least_one: int | None,
) -> None:
    if objective not in get_args(Objective):
        raise ValueError(f"objective is one of {', '.join(get_args(Objective))}, not {objective!r}")
    for name, value in at_least_one.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is at least 1, not {value}")
    for name, names in (
        ("entity", [one.key for one in entities]),
        ("node", [node.node for node in nodes]),
    ):
        if len(set(names)) < len(names):
            twice, _ = Counter(names).most_common(1)[0]
            raise ValueError(f"{name} {twice!r} occurs twice")
    for one in entities:
        if one.weight < 0:
            raise ValueError(f"entity {one.key!r} has a negative weight: {one.weight}")
