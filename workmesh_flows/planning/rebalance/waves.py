"""Ordering moves in waves so that no cap is ever exceeded; an entity counts on both nodes while it moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from workmesh_flows.planning.rebalance.placement import Placement


@dataclass(frozen=True, slots=True)
class Step:
    """The move of an entity in a wave; ``detour`` if its target is not the final one."""

    entity: int
    source: int
    target: int
    wave: int
    detour: bool = False


@dataclass(slots=True)
class Waves:
    """Steps in order, entities that no order can move (``blocked``), and the placement at the end."""

    end: Placement
    steps: list[Step] = field(default_factory=list)
    blocked: list[int] = field(default_factory=list)


def waves(now: Placement, goal: Mapping[int, int], order: Sequence[int], at_once: int | None = None) -> Waves:
    """Move entities to their goals, as many in parallel as fit; ``order`` is their order of importance.

    If no entity can move, one whose leaving frees capacity makes a detour over a third node.
    """
    made = Waves(now.copy())
    waiting = {entity: goal[entity] for entity in order}
    diverted: set[int] = set()
    wave = 0
    while waiting:
        wave += 1
        moves = _parallel_moves(made.end, waiting, inf if at_once is None else at_once)
        detour = not moves
        if detour:
            if not (diversion := _find_detour(made.end, waiting, diverted)):
                made.blocked = list(waiting)
                break
            moves = [diversion]
            diverted.add(diversion[0])
        for entity, target in moves:
            made.steps.append(Step(entity, made.end.node_of[entity], target, wave, detour))
            made.end.move(entity, target)
            if not detour:
                del waiting[entity]
    return made


def _parallel_moves(now: Placement, waiting: Mapping[int, int], at_once: float) -> list[tuple[int, int]]:
    """The moves of one wave. Leaving entities still count on their source, arriving ones on their target."""
    out, into, weight = Counter[int](), Counter[int](), Counter[int]()
    moves = []
    for entity, target in _by_need(now, waiting, at_once):
        source = now.node_of[entity]
        if (
            out[source] < at_once
            and into[target] < at_once
            and len(now.entities_on[target]) + into[target] < now.max_count(target)
            and now.load[target] + weight[target] + now.weights[entity] <= now.max_load[target]
        ):
            out[source] += 1
            into[target] += 1
            weight[target] += now.weights[entity]
            moves.append((entity, target))
    return moves


def _by_need(now: Placement, waiting: Mapping[int, int], at_once: float) -> list[tuple[int, int]]:
    """Entities whose leaving frees capacity first, then entities of the nodes with the most moves left."""
    goals = Counter(waiting.values())
    out = Counter(now.node_of[entity] for entity in waiting) if at_once < inf else Counter[int]()

    def need(move: tuple[int, int]) -> tuple[bool, int]:
        entity, target = move
        source = now.node_of[entity]
        return source not in goals, -max(out[source], goals[target]) if out else 0

    return sorted(waiting.items(), key=need)


def _find_detour(now: Placement, waiting: Mapping[int, int], diverted: set[int]) -> tuple[int, int] | None:
    """The lightest entity on a node that others wait for, and a third node with capacity for it.

    An entity that alone frees enough capacity for another one is preferred.
    """
    arriving: dict[int, list[int]] = {}
    for entity, target in waiting.items():
        arriving.setdefault(target, []).append(entity)
    candidates = [entity for entity in waiting if entity not in diverted and now.node_of[entity] in arriving]

    def preference(entity: int) -> tuple[bool, int, int]:
        source = now.node_of[entity]
        return (
            not any(_fits_without(now, other, source, entity) for other in arriving[source]),
            now.weights[entity],
            entity,
        )

    for entity in sorted(candidates, key=preference):
        others = [node for node in now.receivers if node not in (now.node_of[entity], waiting[entity])]
        if fitting := [node for node in others if now.fits(entity, node)]:
            return entity, max(fitting, key=lambda node: (now.max_load[node] - now.load[node], -node))
    return None


def _fits_without(now: Placement, entity: int, node: int, removed: int) -> bool:
    """Whether an entity fits on a node after another entity has left it."""
    load = now.load[node] - now.weights[removed] + now.weights[entity]
    return load <= now.max_load[node] and len(now.entities_on[node]) <= now.max_count(node)
