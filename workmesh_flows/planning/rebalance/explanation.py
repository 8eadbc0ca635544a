"""A journey put in words and figures, as a plan."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from workmesh_flows.planning.moves import Move, NodeLoad, Why
from workmesh_flows.planning.rebalance.eviction import Variation, evict
from workmesh_flows.planning.rebalance.move_sequence import MoveSequence, SequenceFacts
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import Effort
from workmesh_flows.planning.rebalance.target_load import Limits, TargetLoads

PINNED = "it is pinned"


def moves(made: MoveSequence, shares: TargetLoads) -> list[Move]:
    """The steps with their reasons and gains."""
    here, told = made.start.copy(), []
    for step in made.steps:
        pair = (step.source, step.target)
        why = _why(here, step.source, detour=step.detour)
        before = sum(_distance(here, node, shares) for node in pair)
        here.move(step.entity, step.target)
        gain = (before - sum(_distance(here, node, shares) for node in pair)) * here.unit
        source, target = (here.places[node].node for node in pair)
        one = here.held[step.entity]
        told.append(Move(one.key, source, target, one.weight, why, gain, step.wave))
    return told


def loads(start: Placement, end: Placement, shares: TargetLoads) -> list[NodeLoad]:
    """Every node before and after."""
    return [
        NodeLoad(
            place.node,
            entities=len(start.on[node]),
            weight=start.load[node] * start.unit,
            entities_after=len(end.on[node]),
            weight_after=end.load[node] * end.unit,
            capacity=shares.capacity[node],
        )
        for node, place in enumerate(start.places)
    ]


def busiest(here: Placement, shares: TargetLoads) -> float:
    """The load of the busiest node as a multiple of its even share; one with a capacity of 0 is left out."""
    return max(
        (here.load[node] / shares.even[node] for node in here.takers if shares.even[node]), default=1.0
    )


def stuck(
    end: Placement, limits: Limits, dropped: Sequence[int], facts: SequenceFacts, *, caps: bool
) -> list[tuple[Any, str]]:
    """What should have left its node, by key, and why it could not.

    What was only to even out the nodes, and found no way, is not among them, nor, unless ``caps`` count, what is over
    a cap on a node that is not drained.
    """
    pinned = set(facts.pinned)
    leaving = [node for node, place in enumerate(end.places) if place.drain or (caps and end.over_cap(node))]
    told: dict[int, str] = {}
    for node in leaving:
        for entity in end.on[node]:
            one = end.held[entity]
            if one.key in pinned:
                told |= {entity: PINNED} if end.places[node].drain else {}
            elif not end.movable[entity] and (not facts.sources or one.node in facts.sources):
                told[entity] = _reason(end, entity)
    must = {entity for entity in dropped if end.at[entity] in leaving}
    for entity in {*evict(end, limits, Variation(0, "weight", Effort(inf))), *must}:
        told[entity] = _reason(end, entity)
    return [(end.held[entity].key, told[entity]) for entity in sorted(told)]


def _reason(end: Placement, entity: int) -> str:
    others = [node for node in end.takers if node != end.at[entity]]
    if not others:
        return _NOWHERE
    weight = end.held[entity].weight
    caps = {end.places[node].node: end.places[node].max_weight for node in others}
    known = {node: cap for node, cap in caps.items() if cap is not None}
    if len(known) == len(caps) and weight > max(known.values()):
        largest = max(known, key=lambda node: known[node])
        return _OVER_ALL.format(weight, known[largest], largest)
    open_nodes = [node for node in others if len(end.on[node]) < end.max_count(node)]
    if not open_nodes:
        return _ALL_FULL
    free = max(_free(end, node) for node in open_nodes)
    return _TOO_HEAVY.format(weight, max(int(free), 0)) if weight > free else _NO_ORDER


def _free(end: Placement, node: int) -> float:
    cap = end.places[node].max_weight
    return inf if cap is None else cap - end.load[node] * end.unit


def _why(here: Placement, source: int, *, detour: bool) -> Why:
    if detour:
        return "make room"
    if here.places[source].drain:
        return "drain"
    return "over cap" if here.over_cap(source) else "balance"


def _distance(here: Placement, node: int, shares: TargetLoads) -> float:
    """From the even share; a node that takes nothing is right wherever it is below its cap."""
    place = here.places[node]
    if place.takes and not place.drain:
        return abs(here.load[node] - shares.even[node])
    return here.load[node] if place.drain else max(0, here.load[node] - here.max_load[node])


_NOWHERE = "no other node takes entities"
_ALL_FULL = "every node is at its max_entities"
_OVER_ALL = "its weight {} is over every other max_weight (largest {}, on {})"
_TOO_HEAVY = "its weight {} is over what max_weight leaves on any node ({})"
_NO_ORDER = "no order of moves brings it to a node with room within the caps"
