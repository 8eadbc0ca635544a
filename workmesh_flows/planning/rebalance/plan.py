"""Which entities move, so that nodes are evenly loaded, within their caps, or empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, get_args

from workmesh_flows.errors import UnknownName
from workmesh_flows.planning.moves import MovePlan, Objective, PlannerEntity, PlannerNode
from workmesh_flows.planning.rebalance import explanation
from workmesh_flows.planning.rebalance.drain import spread
from workmesh_flows.planning.rebalance.explanation import PINNED
from workmesh_flows.planning.rebalance.local_search import distance, improve
from workmesh_flows.planning.rebalance.move_limit import select
from workmesh_flows.planning.rebalance.move_sequence import Goal, SequenceFacts, travel
from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.target_load import (
    Limits,
    TargetLoads,
    balanced,
    bearable,
    emptied,
    even_loads,
    within_caps,
)

__all__ = ["PINNED", "plan_drain", "plan_rebalance"]


def plan_rebalance(  # noqa: PLR0913 - each says another thing about the plan
    held: Sequence[PlannerEntity],
    places: Sequence[PlannerNode],
    *,
    tolerance: float = 0.01,
    objective: Objective = "weight",
    emergency: bool = False,
    sources: Collection[str] = (),
    pinned: Collection[Any] = (),
    max_moves: int | None = None,
    at_once: int | None = None,
) -> MovePlan:
    """Bring every node to its even share or near it, drained ones to nothing, with as little moved as can be.

    No node is to hold more than its even share and ``tolerance`` of it, but for an entity that outweighs it: that one
    is to have a node to itself, and the others share the rest. Shares go by max_weight where every node that takes
    entities has one, or by max_entities where entities count 1 each. Where the balance cannot be reached, the plan
    comes as near as it finds a way to, and planning again after it moves nothing.

    Args:
        held: all entities on the places; those on other nodes are left out.
        places: the nodes that matter.
        tolerance: part of the even share.
        objective: what is to be least, moved weight or the number of moves.
        emergency: only take from nodes that are over a cap, and only what is over it.
        sources: only entities on these nodes move; all may, where none is named.
        pinned: keys of entities that never move.
        max_moves: the most useful ones are made, and planning again goes on from there.
        at_once: moves out of a node, and into one, in one wave.

    Raises:
        UnknownName: a source is not among the places.
        ValueError: an argument is out of its range, or a key or a node comes twice.
    """
    _check(held, places, objective, max_moves=max_moves, at_once=at_once)
    if not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance is a part of the even share, from 0 to 1, not {tolerance}")
    known = sorted(place.node for place in places)
    for name in sorted(sources):
        if name not in known:
            raise UnknownName("node", name, known)
    facts = SequenceFacts(held, places, sources, pinned, at_once)
    if emergency:
        return _plan(facts, _sparing(within_caps, objective), within_caps, max_moves, _calm)

    def aim(now: Placement) -> Goal:
        shares = even_loads(now)
        limits = balanced(now, shares, 1 + tolerance)
        return Goal(improve(now, shares, tolerance, objective), lambda here: distance(here, shares, limits))

    def note(end: Placement, shares: TargetLoads, moves: int) -> str:
        limits = balanced(end, even_loads(end), 1 + tolerance).load
        if any(end.load[node] > limits[node] for node in end.takers):
            return f"no way to a balance within {tolerance * 100:g} % was found"
        if explanation.busiest(end, shares) > 1 + tolerance and shares.heaviest > max(shares.even):
            return "the heaviest entity weighs more than the even share"
        return "" if moves else f"balanced within {tolerance * 100:g} %"

    return _plan(facts, aim, bearable, max_moves, note)


def plan_drain(  # noqa: PLR0913 - as above
    held: Sequence[PlannerEntity],
    places: Sequence[PlannerNode],
    *,
    pinned: Collection[Any] = (),
    max_moves: int | None = None,
    at_once: int | None = None,
    objective: Objective = "weight",
) -> MovePlan:
    """Move what sits on draining nodes to the least loaded for their capacity; all else stays where it is."""
    _check(held, places, objective, max_moves=max_moves, at_once=at_once)
    facts = SequenceFacts(held, places, (), pinned, at_once)
    return _plan(facts, _sparing(emptied, objective), emptied, max_moves, _drained)


def _sparing(limits_of: Callable[[Placement], Limits], objective: Objective) -> Callable[[Placement], Goal]:
    """Move what is over the limits, and no more."""

    def aim(now: Placement) -> Goal:
        limits = limits_of(now)

        def distance(here: Placement) -> tuple[float, ...]:
            loads = sum(max(0, load - limit) for load, limit in zip(here.load, limits.load, strict=True))
            return (
                loads + sum(max(0, len(on) - most) for on, most in zip(here.on, limits.count, strict=True)),
            )

        return Goal(spread(now, even_loads(now), limits, objective), distance)

    return aim


def _plan(
    facts: SequenceFacts,
    aim: Callable[[Placement], Goal],
    must_be: Callable[[Placement], Limits],
    max_moves: int | None,
    note: Callable[[Placement, TargetLoads, int], str],
) -> MovePlan:
    whole = made = travel(facts, aim)
    start = made.start
    shares = even_loads(start)
    if max_moves is not None and len(whole.steps) > max_moves:
        made = select(whole, shares, max_moves, facts.at_once)
    moves = explanation.moves(made, shares)
    if not start.held:
        said = "nothing is held"
    elif not start.takers:
        said = "no node takes entities"
    elif made is not whole:
        said = "max_moves reached"
    else:
        said = note(made.end, shares, len(moves))
    return MovePlan(
        moves=moves,
        nodes=explanation.loads(start, made.end, shares),
        stuck=explanation.stuck(
            whole.end, must_be(whole.end), whole.dropped, facts, caps=must_be is not emptied
        ),
        busiest=explanation.busiest(start, shares),
        busiest_after=explanation.busiest(made.end, shares),
        note=said,
    )


def _calm(end: Placement, _: TargetLoads, moves: int) -> str:
    return (
        "" if moves or any(end.over_cap(node) for node in range(len(end.places))) else "no node is over a cap"
    )


def _drained(end: Placement, _: TargetLoads, moves: int) -> str:
    draining = [node for node, place in enumerate(end.places) if place.drain]
    if not draining:
        return "no node is to drain"
    return "" if moves or any(end.on[node] for node in draining) else "the nodes to drain hold nothing"


def _check(
    held: Sequence[PlannerEntity],
    places: Sequence[PlannerNode],
    objective: Objective,
    **at_least_one: int | None,
) -> None:
    if objective not in get_args(Objective):
        raise ValueError(f"objective is one of {', '.join(get_args(Objective))}, not {objective!r}")
    for name, value in at_least_one.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is at least 1, not {value}")
    for name, names in (("entity", [one.key for one in held]), ("node", [place.node for place in places])):
        if len(set(names)) < len(names):
            twice, _ = Counter(names).most_common(1)[0]
            raise ValueError(f"{name} {twice!r} is there twice")
    for one in held:
        if one.weight < 0:
            raise ValueError(f"entity {one.key!r} has a weight below 0: {one.weight}")
