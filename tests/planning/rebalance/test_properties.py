"""Properties of every rebalance plan and every drain plan, for any entities and caps."""

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
    entities: list[PlannerEntity]
    nodes: list[PlannerNode]
    options: dict[str, Any]

    def plan(self, **changes: Any) -> MovePlan:
        return plan_rebalance(self.entities, self.nodes, **{**self.options, **changes})

    def after(self, plan: MovePlan) -> Mesh:
        node_of = {move.entity: move.target for move in plan.moves}
        return replace(
            self, entities=[replace(one, node=node_of.get(one.key, one.node)) for one in self.entities]
        )


@st.composite
def meshes(draw: st.DrawFn, *, tight: bool = False) -> Mesh:
    """A few nodes with or without caps, some of them drained or not taking entities."""
    names = [f"n{index}" for index in range(draw(st.integers(1, 6)))]
    heaviest = draw(st.sampled_from([1, 3, 10, 50, 2_000_000]))
    key = KEYS[draw(st.sampled_from(sorted(KEYS)))]
    weights = draw(st.lists(st.integers(draw(st.sampled_from([0, 1])), heaviest), max_size=24))
    entities = [
        PlannerEntity(
            key(number), draw(st.sampled_from([*names, "elsewhere"] if number % 7 == 0 else names)), weight
        )
        for number, weight in enumerate(weights)
    ]
    load: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for one in entities:
        load[one.node] += one.weight
        count[one.node] += 1
    weighed = draw(st.sampled_from(["none", "all", "some"])) if not tight else "all"
    counted = draw(st.sampled_from(["none", "none", "all", "some"]))
    slack = st.integers(-2, 3) if tight else st.integers(-5, 12)

    def cap(kind: str, base: int, step: int) -> int | None:
        if kind == "none" or (kind == "some" and draw(st.booleans())):
            return None
        return max(0, base + draw(slack) * step)

    nodes = [
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
    if entities and draw(st.integers(0, 2)) == 0:
        options["pinned"] = draw(st.lists(st.sampled_from([one.key for one in entities]), max_size=5))
    if draw(st.integers(0, 3)) == 0:
        options["at_once"] = draw(st.integers(1, 3))
    options["emergency"] = draw(st.integers(0, 4)) == 0
    return Mesh(entities, nodes, options)


def follow(mesh: Mesh, plan: MovePlan) -> dict[Any, str]:
    """Carry out the plan move by move and check the caps after each; a moving entity counts on both nodes."""
    node_of = {one.key: one.node for one in mesh.entities}
    start = dict(node_of)
    weight = {one.key: one.weight for one in mesh.entities}
    nodes = {one.node: one for one in mesh.nodes}
    load, count = Counter[str](), Counter[str]()
    for one in mesh.entities:
        load[one.node] += one.weight
        count[one.node] += 1
    pinned, sources = set(mesh.options.get("pinned", ())), set(mesh.options.get("sources", ()))
    waves: dict[int, list] = defaultdict(list)
    for move in plan.moves:
        assert node_of[move.entity] == move.source
        assert move.source in nodes
        assert move.target != move.source
        assert weight[move.entity] == move.weight
        assert move.entity not in pinned
        assert not sources or start[move.entity] in sources
        goal = nodes[move.target]
        assert goal.takes
        assert not goal.drain
        load[move.target] += move.weight
        count[move.target] += 1
        assert goal.max_weight is None or load[move.target] <= goal.max_weight
        assert goal.max_entities is None or count[move.target] <= goal.max_entities
        load[move.source] -= move.weight
        count[move.source] -= 1
        node_of[move.entity] = move.target
        waves[move.wave].append(move)
    assert [move.wave for move in plan.moves] == sorted(move.wave for move in plan.moves)
    assert list(waves) == list(range(1, len(waves) + 1))
    _follow_waves(mesh, plan, waves)
    assert {node.node: (node.entities_after, node.weight_after) for node in plan.nodes} == {
        name: (count[name], load[name]) for name in nodes
    }
    return node_of


def _follow_waves(mesh: Mesh, plan: MovePlan, waves: dict[int, list]) -> None:
    """Check the caps with all entities of a wave on both nodes at the same time."""
    nodes, at_once = {one.node: one for one in mesh.nodes}, mesh.options.get("at_once")
    load, count = Counter[str](), Counter[str]()
    for one in mesh.entities:
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
            goal = nodes[name]
            assert goal.max_weight is None or load[name] <= goal.max_weight
            assert goal.max_entities is None or count[name] <= goal.max_entities
        for move in moves:
            load[move.source] -= move.weight
            count[move.source] -= 1


def left_over(mesh: Mesh, node_of: dict[Any, str]) -> set[Any]:
    """Entities on drained nodes."""
    drains = {node.node for node in mesh.nodes if node.drain}
    return {key for key, node in node_of.items() if node in drains}


def check_all(mesh: Mesh, shuffled: Mesh) -> None:
    before = (list(mesh.entities), list(mesh.nodes))
    plan = mesh.plan()
    assert (mesh.entities, mesh.nodes) == before
    assert repr(shuffled.plan()) == repr(plan)
    assert str(plan)
    node_of = follow(mesh, plan)
    cannot_move = [key for key, _ in plan.cannot_move]
    assert len(cannot_move) == len(set(cannot_move))
    if not mesh.options["emergency"] and not mesh.options.get("sources"):
        assert left_over(mesh, node_of) <= set(cannot_move)
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
        assert {move.source for move in plan.moves if move.why != "free capacity"} <= over


def is_over(mesh: Mesh, node: Any) -> bool:
    caps = next(one for one in mesh.nodes if one.node == node.node)
    return (caps.max_weight is not None and node.weight > caps.max_weight) or (
        caps.max_entities is not None and node.entities > caps.max_entities
    )


@st.composite
def shuffled(draw: st.DrawFn, *, tight: bool = False) -> tuple[Mesh, Mesh]:
    mesh = draw(meshes(tight=tight))
    other = replace(
        mesh, entities=draw(st.permutations(mesh.entities)), nodes=draw(st.permutations(mesh.nodes))
    )
    return mesh, other


def check_drain(mesh: Mesh, shuffled: Mesh) -> None:
    options: dict[str, Any] = {}
    for name in DRAIN_OPTIONS:
        if name in mesh.options:
            options[name] = mesh.options[name]
    mesh = replace(mesh, options=options)
    plan = plan_drain(mesh.entities, mesh.nodes, **options)
    assert plan == plan_drain(shuffled.entities, shuffled.nodes, **options)
    node_of = follow(mesh, plan)
    drains = {node.node for node in mesh.nodes if node.drain}
    assert {move.source for move in plan.moves if move.why != "free capacity"} <= drains
    assert left_over(mesh, node_of) == {key for key, _ in plan.cannot_move}
    assert not plan_drain(mesh.after(plan).entities, mesh.nodes, **options).moves


@st.composite
def balanced(draw: st.DrawFn) -> tuple[list[PlannerEntity], list[PlannerNode], float]:
    """Balanced nodes whose entities are small compared with the load of a node."""
    count, tolerance = draw(st.integers(1, 8)), draw(st.sampled_from([0.01, 0.02, 0.05]))
    nodes = [PlannerNode(f"n{number}") for number in range(count)]
    weights = draw(
        st.lists(st.integers(1, draw(st.integers(1, 20))), min_size=30 * count, max_size=40 * count)
    )
    entities = [PlannerEntity(number, f"n{number % count}", weight) for number, weight in enumerate(weights)]
    mesh = Mesh(entities, nodes, {"tolerance": tolerance})
    entities = mesh.after(mesh.plan()).entities
    load = Counter({node.node: 0 for node in nodes})
    for one in entities:
        load[one.node] += one.weight
    assume(min(load.values()) >= sum(load.values()) / (count + 1))
    return entities, nodes, tolerance


def check_new_node(entities: list[PlannerEntity], nodes: list[PlannerNode], tolerance: float) -> None:
    plan = plan_rebalance(entities, [*nodes, PlannerNode("a new one")], tolerance=tolerance)
    assert {move.target for move in plan.moves} <= {"a new one"}


BOTH = st.one_of(shuffled(), shuffled(tight=True))


@given(BOTH)
@settings(max_examples=80, deadline=None)
def test_every_rebalance_has_all_properties(both: tuple[Mesh, Mesh]) -> None:
    check_all(*both)


@given(BOTH)
@settings(max_examples=100, deadline=None)
def test_every_drain_has_all_properties(both: tuple[Mesh, Mesh]) -> None:
    check_drain(*both)


@given(balanced())
@settings(max_examples=30, deadline=None)
def test_a_new_node_causes_no_moves_between_old_nodes(
    mesh: tuple[list[PlannerEntity], list[PlannerNode], float],
) -> None:
    check_new_node(*mesh)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(BOTH)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_rebalances_have_all_properties(both: tuple[Mesh, Mesh]) -> None:
    check_all(*both)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(BOTH)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_drains_have_all_properties(both: tuple[Mesh, Mesh]) -> None:
    check_drain(*both)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(balanced())
@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_two_thousand_new_nodes_cause_no_moves_between_old_nodes(
    mesh: tuple[list[PlannerEntity], list[PlannerNode], float],
) -> None:
    check_new_node(*mesh)
