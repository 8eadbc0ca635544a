"""The reasons and numbers of a plan: why entities move or cannot move, and the loads of the nodes."""

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
"""The reason of a pinned entity; stored plans contain this text and it is compared, so it must not change."""


def moves(made: MoveSequence, targets: TargetLoads) -> list[Move]:
    """The steps with their reasons and gains."""
    here, explained = made.start.copy(), []
    for step in made.steps:
        pair = (step.source, step.target)
        why = _why(here, step.source, detour=step.detour)
        before = sum(_distance(here, node, targets) for node in pair)
        here.move(step.entity, step.target)
        gain = (before - sum(_distance(here, node, targets) for node in pair)) * here.unit
        source, target = (here.nodes[node].node for node in pair)
        one = here.entities[step.entity]
        explained.append(Move(one.key, source, target, one.weight, why, gain, step.wave))
    return explained


def loads(start: Placement, end: Placement, targets: TargetLoads) -> list[NodeLoad]:
    """All nodes before and after the plan."""
    return [
        NodeLoad(
            node.node,
            entities=len(start.entities_on[number]),
            weight=start.weight_on(number),
            entities_after=len(end.entities_on[number]),
            weight_after=end.weight_on(number),
            capacity=targets.capacity[number],
        )
        for number, node in enumerate(start.nodes)
    ]


def busiest(here: Placement, targets: TargetLoads) -> float:
    """The load of the busiest node as a multiple of its even share; ignores nodes with a capacity of 0."""
    return max(
        (here.load[node] / targets.even[node] for node in here.receivers if targets.even[node]), default=1.0
    )


def cannot_move(
    end: Placement, limits: Limits, blocked: Sequence[int], facts: SequenceFacts, *, caps: bool
) -> list[tuple[Any, str]]:
    """The entities that should have left their node, by key, and why they could not.

    Entities that would only have improved the balance are not included. Entities over a cap on a node that is
    not drained are included only if ``caps``.
    """
    pinned = set(facts.pinned)
    leaving = [
        number for number, node in enumerate(end.nodes) if node.drain or (caps and end.over_cap(number))
    ]
    reasons: dict[int, str] = {}
    for node in leaving:
        for entity in end.entities_on[node]:
            one = end.entities[entity]
            if one.key in pinned:
                reasons |= {entity: PINNED} if end.nodes[node].drain else {}
            elif not end.movable[entity] and (not facts.sources or one.node in facts.sources):
                reasons[entity] = _reason(end, entity)
    must = {entity for entity in blocked if end.node_of[entity] in leaving}
    for entity in {*evict(end, limits, Variation(0, "weight", Effort(inf))), *must}:
        reasons[entity] = _reason(end, entity)
    return [(end.entities[entity].key, reasons[entity]) for entity in sorted(reasons)]


def _reason(end: Placement, entity: int) -> str:
    others = [node for node in end.receivers if node != end.node_of[entity]]
    if not others:
        return _NO_RECEIVER
    weight = end.entities[entity].weight
    caps = {end.nodes[node].node: end.nodes[node].max_weight for node in others}
    known = {node: cap for node, cap in caps.items() if cap is not None}
    if len(known) == len(caps) and weight > max(known.values()):
        largest = max(known, key=lambda node: known[node])
        return _OVER_ALL.format(weight, known[largest], largest)
    open_nodes = [node for node in others if len(end.entities_on[node]) < end.max_count(node)]
    if not open_nodes:
        return _ALL_FULL
    free = max(_free(end, node) for node in open_nodes)
    return _TOO_HEAVY.format(weight, max(int(free), 0)) if weight > free else _NO_ORDER


def _free(end: Placement, node: int) -> float:
    cap = end.nodes[node].max_weight
    return inf if cap is None else cap - end.weight_on(node)


def _why(here: Placement, source: int, *, detour: bool) -> Why:
    if detour:
        return "free capacity"
    if here.nodes[source].drain:
        return "drain"
    return "over cap" if here.over_cap(source) else "balance"


def _distance(here: Placement, number: int, targets: TargetLoads) -> float:
    """Distance of a load from the even share; for nodes that are not receivers, the excess over the cap."""
    node = here.nodes[number]
    if node.takes and not node.drain:
        return abs(here.load[number] - targets.even[number])
    return here.load[number] if node.drain else max(0, here.load[number] - here.max_load[number])


_NO_RECEIVER = "no other node takes entities"
_ALL_FULL = "every node is at its max_entities"
_OVER_ALL = "its weight {} exceeds every other max_weight (largest {}, on {})"
_TOO_HEAVY = "its weight {} is more than max_weight leaves free on any node ({})"
_NO_ORDER = "no order of moves within the caps brings it to a node with free capacity"
