"""The moves from the current placement to the goal, planned repeatedly until a new plan has no moves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from workmesh_flows.planning.moves import PlannerEntity, PlannerNode
from workmesh_flows.planning.rebalance.placement import Placement, placement
from workmesh_flows.planning.rebalance.waves import Step, Waves, waves

ROUNDS = 30
"""Largest number of consecutive plans; two or three are enough unless caps leave hardly any capacity."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The placement to reach, and a function for the distance of any placement from what is required.

    Distances are compared as tuples; smaller is better.
    """

    end: Placement
    distance: Callable[[Placement], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class SequenceFacts:
    """The input of a plan."""

    entities: Sequence[PlannerEntity]
    nodes: Sequence[PlannerNode]
    sources: Collection[str] = ()
    pinned: Collection[Any] = ()
    at_once: int | None = None

    def placement(self) -> Placement:
        return placement(self.entities, self.nodes, sources=self.sources, pinned=self.pinned)

    def after(self, end: Placement) -> SequenceFacts:
        """The input after a plan was applied."""
        names = [node.node for node in end.nodes]
        entities = [
            one if one.node == names[node] else replace(one, node=names[node])
            for one, node in zip(end.entities, end.node_of, strict=True)
        ]
        return replace(self, entities=entities)


@dataclass(slots=True)
class MoveSequence:
    """All steps from the start to the end; ``blocked`` are entities that cannot reach their goal."""

    start: Placement
    end: Placement
    steps: list[Step] = field(default_factory=list)
    blocked: list[int] = field(default_factory=list)


def plan_sequence(facts: SequenceFacts, goal_of: Callable[[Placement], Goal]) -> MoveSequence:
    """Plan, simulate the moves and plan again until nothing moves, so that a plan after this one is empty."""
    made = MoveSequence(start := facts.placement(), start)
    for round_ in range(ROUNDS):
        now = facts.placement()
        goal = goal_of(now)
        targets = _changes(now, goal.end)
        part = _best_prefix(
            now, waves(now, targets, by_importance(now, targets), facts.at_once), goal.distance
        )
        made.blocked = part.blocked
        if not part.steps:
            break
        done = made.steps[-1].wave if made.steps else 0
        made.steps += [replace(step, wave=done + step.wave) for step in part.steps]
        made.end = part.end
        facts = facts.after(part.end)
        if round_:
            _shorten(made, facts.at_once)
    return made


def by_importance(now: Placement, entities: Collection[int]) -> list[int]:
    """Sort entities: on drained nodes, then on nodes over a cap, then the others; the heaviest first."""
    return sorted(
        entities, key=lambda entity: (_rank(now, now.node_of[entity]), -now.weights[entity], entity)
    )


def _rank(now: Placement, node: int) -> int:
    return 0 if now.nodes[node].drain else 1 if now.over_cap(node) else 2


def _changes(now: Placement, end: Placement) -> dict[int, int]:
    return {
        entity: target
        for entity, (source, target) in enumerate(zip(now.node_of, end.node_of, strict=True))
        if source != target
    }


def _best_prefix(now: Placement, made: Waves, distance: Callable[[Placement], tuple[float, ...]]) -> Waves:
    """If entities are blocked, keep only the waves up to the one with the smallest distance."""
    if not made.blocked:
        return made
    here, nearest, best, count = now.copy(), distance(now), 0, 0
    for count, step in enumerate(made.steps, start=1):
        here.move(step.entity, step.target)
        last = count == len(made.steps) or made.steps[count].wave != step.wave
        if last and distance(here) < nearest:
            nearest, best = distance(here), count
    here = now.copy()
    for step in made.steps[:best]:
        here.move(step.entity, step.target)
    return Waves(here, made.steps[:best], made.blocked)


def _shorten(made: MoveSequence, at_once: int | None) -> None:
    """Replace the steps of several plans by direct ones, if the caps allow it and they are not more."""
    goal = _changes(made.start, made.end)
    direct = waves(made.start, goal, by_importance(made.start, goal), at_once)
    if not direct.blocked and len(direct.steps) <= len(made.steps):
        made.steps = direct.steps
