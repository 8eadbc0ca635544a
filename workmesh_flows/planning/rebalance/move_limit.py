"""The most useful of many moves, where not all of them are wanted."""

from __future__ import annotations

from workmesh_flows.planning.rebalance.move_sequence import MoveSequence
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.target_load import TargetLoads
from workmesh_flows.planning.rebalance.waves import Step, waves


def select(made: MoveSequence, shares: TargetLoads, at_most: int, at_once: int | None) -> MoveSequence:
    """At most so many of the entities that move, each straight to its end, if each alone does good."""
    here, ends = made.start.copy(), dict.fromkeys(step.entity for step in made.steps)
    worst = max((shares.of(node, here.load[node]) for node in here.takers if shares.even[node]), default=0.0)
    goal: dict[int, int] = {}
    left = sorted(ends, key=lambda entity: _use(here, entity, made.end.at[entity], shares))
    while left and len(goal) < at_most:
        for entity in left:
            target = made.end.at[entity]
            after = here.load[target] + here.weights[entity]
            calm = shares.of(target, after) <= max(worst, shares.of(target, made.end.load[target]))
            if calm and here.fits(entity, target) and _use(here, entity, target, shares) < _USELESS:
                goal[entity] = target
                here.move(entity, target)
                left.remove(entity)
                break
        else:
            break
    way = waves(made.start, goal, list(goal), at_once)
    steps = way.steps
    if way.dropped or len(steps) > at_most:
        steps = [
            Step(entity, made.start.at[entity], target, wave)
            for wave, (entity, target) in enumerate(goal.items(), 1)
        ]
    return MoveSequence(made.start, here, steps)


def _use(here: Placement, entity: int, target: int, shares: TargetLoads) -> tuple[int, float, int]:
    """What has to leave comes first, then what brings its two nodes nearest to the balance."""
    source, weight = here.at[entity], here.weights[entity]
    gain = (
        abs(here.load[source] - shares.even[source])
        - abs(here.load[source] - weight - shares.even[source])
        + abs(here.load[target] - shares.even[target])
        - abs(here.load[target] + weight - shares.even[target])
    )
    must = here.places[source].drain or here.over_cap(source)
    return (0 if must else 1 if gain > 0 else 2), -gain, entity


_USELESS = (2, 0.0, 0)
