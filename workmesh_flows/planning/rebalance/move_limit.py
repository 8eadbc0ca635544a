"""Selecting the most useful moves of a plan if their number is limited."""

from __future__ import annotations

from workmesh_flows.planning.rebalance.move_sequence import MoveSequence
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.target_load import TargetLoads
from workmesh_flows.planning.rebalance.waves import Step, waves


def limit_moves(made: MoveSequence, targets: TargetLoads, at_most: int, at_once: int | None) -> MoveSequence:
    """Greedily select up to ``at_most`` entities whose direct move to their end is useful on its own."""
    here, ends = made.start.copy(), dict.fromkeys(step.entity for step in made.steps)
    busiest = max(
        (targets.relative(node, here.load[node]) for node in here.receivers if targets.even[node]),
        default=0.0,
    )
    goal: dict[int, int] = {}
    left = sorted(ends, key=lambda entity: _rank(here, entity, made.end.node_of[entity], targets))
    while left and len(goal) < at_most:
        for entity in left:
            target = made.end.node_of[entity]
            after = targets.relative(target, here.load[target] + here.weights[entity])
            not_busier = after <= max(busiest, targets.relative(target, made.end.load[target]))
            if not_busier and here.fits(entity, target) and _rank(here, entity, target, targets) < _USELESS:
                goal[entity] = target
                here.move(entity, target)
                left.remove(entity)
                break
        else:
            break
    ordered = waves(made.start, goal, list(goal), at_once)
    steps = ordered.steps
    if ordered.blocked or len(steps) > at_most:
        steps = [
            Step(entity, made.start.node_of[entity], target, wave)
            for wave, (entity, target) in enumerate(goal.items(), 1)
        ]
    return MoveSequence(made.start, here, steps)


def _rank(here: Placement, entity: int, target: int, targets: TargetLoads) -> tuple[int, float, int]:
    """Sort key: entities that must leave first, then the largest gain in balance of the two nodes."""
    source, weight = here.node_of[entity], here.weights[entity]
    gain = (
        abs(here.load[source] - targets.even[source])
        - abs(here.load[source] - weight - targets.even[source])
        + abs(here.load[target] - targets.even[target])
        - abs(here.load[target] + weight - targets.even[target])
    )
    must = here.nodes[source].drain or here.over_cap(source)
    return (0 if must else 1 if gain > 0 else 2), -gain, entity


_USELESS = (2, 0.0, 0)
