"""The order of moves: no cap is exceeded after any of them, an entity counting on both nodes while it moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from workmesh_flows.planning.rebalance.placement import Placement


@dataclass(frozen=True, slots=True)
class Step:
    """An entity's way to a node, and whether it goes on from there."""

    entity: int
    source: int
    target: int
    wave: int
    detour: bool = False


@dataclass(slots=True)
class Waves:
    """Steps in order, and the entities that found no way; ``end`` is who then holds what."""

    end: Placement
    steps: list[Step] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


def waves(now: Placement, goal: Mapping[int, int], order: Sequence[int], at_once: int | None = None) -> Waves:
    """Bring entities to their goals, as many side by side as fit, in this order of importance.

    Where all of them wait for room, one whose leaving makes some goes to a third node first, and on later.
    """
    made = Waves(now.copy())
    waiting = {entity: goal[entity] for entity in order}
    diverted: set[int] = set()
    wave = 0
    while waiting:
        wave += 1
        going = _side_by_side(made.end, waiting, inf if at_once is None else at_once)
        detour = not going
        if detour:
            if not (aside := _parked_elsewhere(made.end, waiting, diverted)):
                made.dropped = list(waiting)
                break
            going = [aside]
            diverted.add(aside[0])
        for entity, target in going:
            made.steps.append(Step(entity, made.end.at[entity], target, wave, detour))
            made.end.move(entity, target)
            if not detour:
                del waiting[entity]
    return made


def _side_by_side(now: Placement, waiting: Mapping[int, int], at_once: float) -> list[tuple[int, int]]:
    """The moves of one wave. What leaves in it still counts, what comes counts already."""
    out, into, weight = Counter[int](), Counter[int](), Counter[int]()
    going = []
    for entity, target in _by_need(now, waiting, at_once):
        source = now.at[entity]
        if (
            out[source] < at_once
            and into[target] < at_once
            and len(now.on[target]) + into[target] < now.max_count(target)
            and now.load[target] + weight[target] + now.weights[entity] <= now.max_load[target]
        ):
            out[source] += 1
            into[target] += 1
            weight[target] += now.weights[entity]
            going.append((entity, target))
    return going


def _by_need(now: Placement, waiting: Mapping[int, int], at_once: float) -> list[tuple[int, int]]:
    """First those whose leaving makes room for others, then those of the nodes with the most moves left."""
    goals = Counter(waiting.values())
    out = Counter(now.at[entity] for entity in waiting) if at_once < inf else Counter[int]()

    def need(move: tuple[int, int]) -> tuple[bool, int]:
        entity, target = move
        return now.at[entity] not in goals, -max(out[now.at[entity]], goals[target]) if out else 0

    return sorted(waiting.items(), key=need)


def _parked_elsewhere(
    now: Placement, waiting: Mapping[int, int], diverted: set[int]
) -> tuple[int, int] | None:
    """The lightest entity that others wait for, and a third node with room; first one that frees enough alone."""
    wanted: dict[int, list[int]] = {}
    for entity, target in waiting.items():
        wanted.setdefault(target, []).append(entity)
    asked = [entity for entity in waiting if entity not in diverted and now.at[entity] in wanted]

    def worth(entity: int) -> tuple[bool, int, int]:
        source = now.at[entity]
        return (
            not any(_fits_then(now, other, source, entity) for other in wanted[source]),
            now.weights[entity],
            entity,
        )

    for entity in sorted(asked, key=worth):
        others = [node for node in now.takers if node not in (now.at[entity], waiting[entity])]
        if rooms := [node for node in others if now.fits(entity, node)]:
            return entity, max(rooms, key=lambda node: (now.max_load[node] - now.load[node], -node))
    return None


def _fits_then(now: Placement, entity: int, node: int, gone: int) -> bool:
    """Whether it fits a node once another one has gone."""
    load = now.load[node] - now.weights[gone] + now.weights[entity]
    return load <= now.max_load[node] and len(now.on[node]) <= now.max_count(node)
