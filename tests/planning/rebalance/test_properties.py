"""What holds for every rebalance and drain plan, whatever the nodes hold and may hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from workmesh_flows.planning.moves import MovePlan, PlannerEntity, PlannerNode
from workmesh_flows.planning.rebalance.plan import plan_drain, plan_rebalance

KEYS: dict[str, Callable[[int], Any]] = {
    "int": lambda n: n * 7 - 30,
    "str": lambda n: f"k{n}",
    "uuid": lambda n: UUID(int=n * 12345),
}

DRAIN_OPTIONS = ("pinned", "at_once", "objective")


@dataclass(frozen=True)
class Mesh:
    held: list[PlannerEntity]
    places: list[PlannerNode]
    options: dict[str, Any]

    def plan(self, **changes: Any) -> MovePlan:
        return plan_rebalance(self.held, self.places, **{**self.options, **changes})

    def after(self, plan: MovePlan) -> Mesh:
        at = {move.entity: move.target for move in plan.moves}
        return replace(self, held=[replace(one, node=at.get(one.key, one.node)) for one in self.held])


@st.composite
def meshes(draw: st.DrawFn, *, tight: bool = False) -> Mesh:
    """A few nodes with or without caps, now and then one that drains or takes nothing."""
    names = [f"n{index}" for index in range(draw(st.integers(1, 6)))]
    heaviest = draw(st.sampled_from([1, 3, 10, 50, 2_000_000]))
    key = KEYS[draw(st.sampled_from(sorted(KEYS)))]
    weights = draw(st.lists(st.integers(draw(st.sampled_from([0, 1])), heaviest), max_size=24))
    held = [
        PlannerEntity(
            key(number), draw(st.sampled_from([*names, "elsewhere"] if number % 7 == 0 else names)), weight
        )
        for number, weight in enumerate(weights)
    ]
    load: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for one in held:
        load[one.node] += one.weight
        count[one.node] += 1
    weighed = draw(st.sampled_from(["none", "all", "some"])) if not tight else "all"
    counted = draw(st.sampled_from(["none", "none", "all", "some"]))
    slack = st.integers(-2, 3) if tight else st.integers(-5, 12)

    def cap(kind: str, base: int, step: int) -> int | None:
        if kind == "none" or (kind == "some" and draw(st.booleans())):
            return None
        return max(0, base + draw(slack) * step)

    places = [
        PlannerNode(
            name,
            max_entities=cap(counted, count[name], 1),
            max_weight=cap(weighed, load[name], max(1, heaviest // 5)),
            takes=draw(st.integers(0, 7)) > 0,
            drain=draw(st.integers(0, 5)) == 0,
        )
        for name in names
    ]
    options: dict[str, Any] = {
        "tolerance": draw(st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.5])),
        "objective": draw(st.sampled_from(["weight", "moves"])),
    }
    if draw(st.integers(0, 4)) == 0:
        options["sources"] = draw(st.lists(st.sampled_from(names), max_size=3))
    if held and draw(st.integers(0, 2)) == 0:
        options["pinned"] = draw(st.lists(st.sampled_from([one.key for one in held]), max_size=5))
    if draw(st.integers(0, 3)) == 0:
        options["at_once"] = draw(st.integers(1, 3))
    options["emergency"] = draw(st.integers(0, 4)) == 0
    return Mesh(held, places, options)


def follow(mesh: Mesh, plan: MovePlan) -> dict[Any, str]:
    """Carry out the plan move by move, and look at the caps on the way: an entity counts on both nodes."""
    at = {one.key: one.node for one in mesh.held}
    start = dict(at)
    weight = {one.key: one.weight for one in mesh.held}
    place = {one.node: one for one in mesh.places}
    load, count = Counter[str](), Counter[str]()
    for one in mesh.held:
        load[one.node] += one.weight
        count[one.node] += 1
    pinned, sources = set(mesh.options.get("pinned", ())), set(mesh.options.get("sources", ()))
    waves: dict[int, list] = defaultdict(list)
    for move in plan.moves:
        assert at[move.entity] == move.source
        assert move.source in place
        assert move.target != move.source
        assert weight[move.entity] == move.weight
        assert move.entity not in pinned
        assert not sources or start[move.entity] in sources
        goal = place[move.target]
        assert goal.takes
        assert not goal.drain
        load[move.target] += move.weight
        count[move.target] += 1
        assert goal.max_weight is None or load[move.target] <= goal.max_weight
        assert goal.max_entities is None or count[move.target] <= goal.max_entities
        load[move.source] -= move.weight
        count[move.source] -= 1
        at[move.entity] = move.target
        waves[move.wave].append(move)
    assert [move.wave for move in plan.moves] == sorted(move.wave for move in plan.moves)
    assert list(waves) == list(range(1, len(waves) + 1))
    _follow_waves(mesh, plan, waves)
    assert {node.node: (node.entities_after, node.weight_after) for node in plan.nodes} == {
        name: (count[name], load[name]) for name in place
    }
    return at


def _follow_waves(mesh: Mesh, plan: MovePlan, waves: dict[int, list]) -> None:
    """The same with all of a wave on both nodes at once."""
    place, at_once = {one.node: one for one in mesh.places}, mesh.options.get("at_once")
    load, count = Counter[str](), Counter[str]()
    for one in mesh.held:
        load[one.node] += one.weight
        count[one.node] += 1
    for moves in waves.values():
        assert len({move.entity for move in moves}) == len(moves)
        for end in ("source", "target"):
            most = max(Counter(getattr(move, end) for move in moves).values())
            assert at_once is None or most <= at_once
        for move in moves:
            load[move.target] += move.weight
            count[move.target] += 1
        for name in {move.target for move in moves}:
            goal = place[name]
            assert goal.max_weight is None or load[name] <= goal.max_weight
            assert goal.max_entities is None or count[name] <= goal.max_entities
        for move in moves:
            load[move.source] -= move.weight
            count[move.source] -= 1


def left_over(mesh: Mesh, at: dict[Any, str]) -> set[Any]:
    """Entities on drained nodes."""
    drains = {place.node for place in mesh.places if place.drain}
    return {key for key, node in at.items() if node in drains}


def check_all(mesh: Mesh, shuffled: Mesh) -> None:
    before = (list(mesh.held), list(mesh.places))
    plan = mesh.plan()
    assert (mesh.held, mesh.places) == before
    assert repr(shuffled.plan()) == repr(plan)
    assert str(plan)
    at = follow(mesh, plan)
    stuck = [key for key, _ in plan.stuck]
    assert len(stuck) == len(set(stuck))
    if not mesh.options["emergency"] and not mesh.options.get("sources"):
        assert left_over(mesh, at) <= set(stuck)
    done = mesh.after(plan)
    again = done.plan()
    assert not again.moves, f"{plan.moves} and then {again.moves}"
    for limit in (1, 2, 5):
        some = mesh.plan(max_moves=limit)
        assert len(some.moves) <= limit
        follow(mesh, some)
        if len(plan.moves) <= limit:
            assert some.moves == plan.moves
    if mesh.options["emergency"]:
        over = {node.node for node in plan.nodes if is_over(mesh, node)}
        assert {move.source for move in plan.moves if move.why != "make room"} <= over


def is_over(mesh: Mesh, node: Any) -> bool:
    place = next(one for one in mesh.places if one.node == node.node)
    return (place.max_weight is not None and node.weight > place.max_weight) or (
        place.max_entities is not None and node.entities > place.max_entities
    )


@st.composite
def shuffled(draw: st.DrawFn, *, tight: bool = False) -> tuple[Mesh, Mesh]:
    mesh = draw(meshes(tight=tight))
    other = replace(mesh, held=draw(st.permutations(mesh.held)), places=draw(st.permutations(mesh.places)))
    return mesh, other


def check_drain(mesh: Mesh, shuffled: Mesh) -> None:
    options: dict[str, Any] = {}
    for name in DRAIN_OPTIONS:
        if name in mesh.options:
            options[name] = mesh.options[name]
    mesh = replace(mesh, options=options)
    plan = plan_drain(mesh.held, mesh.places, **options)
    assert plan == plan_drain(shuffled.held, shuffled.places, **options)
    at = follow(mesh, plan)
    drains = {place.node for place in mesh.places if place.drain}
    assert {move.source for move in plan.moves if move.why != "make room"} <= drains
    assert left_over(mesh, at) == {key for key, _ in plan.stuck}
    assert not plan_drain(mesh.after(plan).held, mesh.places, **options).moves


@st.composite
def balanced(draw: st.DrawFn) -> tuple[list[PlannerEntity], list[PlannerNode], float]:
    """Nodes that are even, with entities that are small against what a node holds."""
    count, tolerance = draw(st.integers(1, 8)), draw(st.sampled_from([0.01, 0.02, 0.05]))
    places = [PlannerNode(f"n{number}") for number in range(count)]
    weights = draw(
        st.lists(st.integers(1, draw(st.integers(1, 20))), min_size=30 * count, max_size=40 * count)
    )
    held = [PlannerEntity(number, f"n{number % count}", weight) for number, weight in enumerate(weights)]
    mesh = Mesh(held, places, {"tolerance": tolerance})
    held = mesh.after(mesh.plan()).held
    load = Counter({place.node: 0 for place in places})
    for one in held:
        load[one.node] += one.weight
    assume(min(load.values()) >= sum(load.values()) / (count + 1))
    return held, places, tolerance


def check_new_node(held: list[PlannerEntity], places: list[PlannerNode], tolerance: float) -> None:
    plan = plan_rebalance(held, [*places, PlannerNode("a new one")], tolerance=tolerance)
    assert {move.target for move in plan.moves} <= {"a new one"}


BOTH = st.one_of(shuffled(), shuffled(tight=True))


@given(BOTH)
@settings(max_examples=80, deadline=None)
def test_every_plan_keeps_its_promises(both: tuple[Mesh, Mesh]) -> None:
    check_all(*both)


@given(BOTH)
@settings(max_examples=100, deadline=None)
def test_every_drain_keeps_its_promises(both: tuple[Mesh, Mesh]) -> None:
    check_drain(*both)


@given(balanced())
@settings(max_examples=30, deadline=None)
def test_a_new_node_moves_nothing_between_the_old_ones(
    mesh: tuple[list[PlannerEntity], list[PlannerNode], float],
) -> None:
    check_new_node(*mesh)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(BOTH)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_plans_keep_their_promises(both: tuple[Mesh, Mesh]) -> None:
    check_all(*both)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(BOTH)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_drains_keep_their_promises(both: tuple[Mesh, Mesh]) -> None:
    check_drain(*both)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(balanced())
@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_two_thousand_new_nodes_move_nothing_between_the_old_ones(
    mesh: tuple[list[PlannerEntity], list[PlannerNode], float],
) -> None:
    check_new_node(*mesh)
