"""From what stands to where it is to end: the moves in order, planned on until another plan would be empty."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from workmesh_flows.planning.moves import PlannerEntity, PlannerNode
from workmesh_flows.planning.rebalance.placement import Placement, placement
from workmesh_flows.planning.rebalance.waves import Step, Waves, waves

ROUNDS = 30
"""Plans that follow each other at most; two or three are enough but where caps leave hardly any room."""

Far: TypeAlias = tuple[float, ...]
"""How far from its aim a standing is; the less the better, the first number first."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Where entities are to end, and how far any standing is from what is wanted."""

    end: Placement
    far: Callable[[Placement], Far]


@dataclass(frozen=True, slots=True)
class SequenceFacts:
    """What a plan is made from."""

    held: Sequence[PlannerEntity]
    places: Sequence[PlannerNode]
    sources: Collection[str] = ()
    pinned: Collection[Any] = ()
    at_once: int | None = None

    def placement(self) -> Placement:
        return placement(self.held, self.places, sources=self.sources, pinned=self.pinned)

    def after(self, end: Placement) -> SequenceFacts:
        """The same when a plan has been carried out."""
        names = [place.node for place in end.places]
        held = [
            one if one.node == names[node] else replace(one, node=names[node])
            for one, node in zip(end.held, end.at, strict=True)
        ]
        return replace(self, held=held)


@dataclass(slots=True)
class MoveSequence:
    """Every step from the start to the end, and the entities that found no way within the caps."""

    start: Placement
    end: Placement
    steps: list[Step] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


def travel(facts: SequenceFacts, aim: Callable[[Placement], Goal]) -> MoveSequence:
    """Plan, act as if it were done, and plan again, until nothing moves: so applying the whole leaves nothing to do."""
    made = MoveSequence(start := facts.placement(), start)
    for turn in range(ROUNDS):
        now = facts.placement()
        aimed = aim(now)
        goal = _changes(now, aimed.end)
        part = _useful(now, waves(now, goal, importance(now, goal), facts.at_once), aimed.far)
        made.dropped = part.dropped
        if not part.steps:
            break
        done = made.steps[-1].wave if made.steps else 0
        made.steps += [replace(step, wave=done + step.wave) for step in part.steps]
        made.end = part.end
        facts = facts.after(part.end)
        if turn:
            _shorten(made, facts.at_once)
    return made


def importance(now: Placement, goal: Collection[int]) -> list[int]:
    """What has to leave its node comes first, and then the heaviest."""
    return sorted(goal, key=lambda entity: (_rank(now, now.at[entity]), -now.weights[entity], entity))


def _rank(now: Placement, node: int) -> int:
    return 0 if now.places[node].drain else 1 if now.over_cap(node) else 2


def _changes(now: Placement, end: Placement) -> dict[int, int]:
    return {
        entity: target
        for entity, (source, target) in enumerate(zip(now.at, end.at, strict=True))
        if source != target
    }


def _useful(now: Placement, made: Waves, far: Callable[[Placement], Far]) -> Waves:
    """Where moves had to be dropped, only the waves up to the one that comes nearest to the aim."""
    if not made.dropped:
        return made
    here, nearest, best, count = now.copy(), far(now), 0, 0
    for count, step in enumerate(made.steps, start=1):
        here.move(step.entity, step.target)
        last = count == len(made.steps) or made.steps[count].wave != step.wave
        if last and far(here) < nearest:
            nearest, best = far(here), count
    here = now.copy()
    for step in made.steps[:best]:
        here.move(step.entity, step.target)
    return Waves(here, made.steps[:best], made.dropped)


def _shorten(made: MoveSequence, at_once: int | None) -> None:
    """Go to the end of several plans by the shortest way, where that is open."""
    goal = _changes(made.start, made.end)
    direct = waves(made.start, goal, importance(made.start, goal), at_once)
    if not direct.dropped and len(direct.steps) <= len(made.steps):
        made.steps = direct.steps
