"""The moves of a rebalance or a drain, and the texts of the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from workmesh_flows.errors import UnknownName
from workmesh_flows.planning.moves import MovePlan, PlannerEntity, PlannerNode
from workmesh_flows.planning.rebalance.plan import plan_drain, plan_rebalance

A, B, C = PlannerNode("a"), PlannerNode("b"), PlannerNode("c")


def holding(**nodes: list[int]) -> list[PlannerEntity]:
    """Entities a1, a2, ... of these weights on node a, and so on."""
    return [
        PlannerEntity(f"{node}{number}", node, weight)
        for node, weights in nodes.items()
        for number, weight in enumerate(weights, start=1)
    ]


def moves_of(plan: MovePlan) -> str:
    return " ".join(f"{move.entity}>{move.target}" for move in plan.moves)


def after(entities: list[PlannerEntity], plan: MovePlan) -> list[PlannerEntity]:
    node_of = {move.entity: move.target for move in plan.moves}
    return [replace(one, node=node_of.get(one.key, one.node)) for one in entities]


@pytest.mark.parametrize(
    ("entities", "nodes", "moved"),
    [
        pytest.param(holding(a=[5, 5], b=[]), [A, B], "a1>b", id="half goes to an empty node"),
        pytest.param(holding(a=[5], b=[5]), [A, B], "", id="nothing if all nodes are balanced"),
        pytest.param(holding(a=[50, 1, 1], b=[50]), [A, B], "a2>b", id="the light entities suffice"),
        pytest.param(holding(a=[5], b=[]), [A, B], "", id="a single entity stays"),
        pytest.param(holding(a=[3], b=[3], x=[9, 9]), [A, B], "", id="entities on other nodes are ignored"),
        pytest.param(holding(a=[4, 4], b=[]), [replace(A, drain=True), B], "a1>b a2>b", id="a drained node is emptied"),
        pytest.param(holding(a=[4, 4], b=[]), [A, replace(B, takes=False)], "", id="a node that takes no entities receives none"),
        pytest.param(holding(a=[9, 9], b=[1, 1]), [replace(A, takes=False), B, C], "b1>c", id="a node that takes no entities has no share"),
        pytest.param(holding(a=[1] * 6, b=[]), [replace(A, max_entities=2), replace(B, max_entities=4)],
            "a1>b a2>b a3>b a4>b", id="shares by max_entities where entities count 1"),
        pytest.param(holding(a=[10] * 6, b=[]), [replace(A, max_weight=20), replace(B, max_weight=40)],
            "a1>b a2>b a3>b a4>b", id="shares by max_weight"),
        pytest.param(holding(a=[1] * 6, b=[]), [A, replace(B, max_entities=2)], "a1>b a2>b", id="not over a cap"),
        pytest.param(holding(a=[1] * 5, b=[1] * 5, c=[]), [A, B, C], "a1>c b1>c", id="a new node is filled from all others"),
    ],
)  # fmt: skip
def test_entities_move_until_the_nodes_are_balanced(
    entities: list[PlannerEntity], nodes: list[PlannerNode], moved: str
) -> None:
    plan = plan_rebalance(entities, nodes)
    assert moves_of(plan) == moved
    assert not plan_rebalance(after(entities, plan), nodes).moves


@pytest.mark.parametrize(
    ("entities", "nodes", "loads"),
    [
        pytest.param(holding(a=[100], b=[9] * 10), [A, B, C], [100, 45, 45], id="the others are balanced"),
        pytest.param(holding(a=[100, 9, 9], b=[9] * 8), [A, B, C], [100, 45, 45], id="it gets a node to itself"),
        pytest.param(holding(a=[100, 80], b=[9] * 8), [A, B, C, PlannerNode("d")], [100, 36, 80, 36], id="two get a node each"),
        pytest.param(holding(a=[100], b=[9] * 10), [replace(A, drain=True), B, C, PlannerNode("d")], [0, 45, 100, 45],
            id="also if it must move"),
        pytest.param(holding(a=[100], b=[9] * 10), [A, replace(B, max_weight=99), C], [100, 45, 45], id="with a cap on another node"),
    ],
)  # fmt: skip
def test_other_nodes_are_balanced_beside_an_entity_heavier_than_the_even_share(
    entities: list[PlannerEntity], nodes: list[PlannerNode], loads: list[int]
) -> None:
    plan = plan_rebalance(entities, nodes)
    assert [node.weight_after for node in plan.nodes] == loads
    assert plan.note == "the heaviest entity weighs more than the even share"
    assert not plan_rebalance(after(entities, plan), nodes).moves


def test_only_the_excess_leaves_a_node_over_its_cap() -> None:
    entities = holding(a=[5, 5, 5], b=[])
    nodes = [replace(A, max_weight=12, takes=False), B]
    plan = plan_rebalance(entities, nodes)
    assert [(move.entity, move.why) for move in plan.moves] == [("a1", "over cap")]


@pytest.mark.parametrize(("objective", "moved"), [("weight", "a2>b a3>b"), ("moves", "a1>b")])
def test_the_objective_is_minimized(objective: Any, moved: str) -> None:
    entities = holding(a=[21, 9, 9, 30], b=[31])
    assert moves_of(plan_rebalance(entities, [A, B], objective=objective, tolerance=0.06)) == moved


def test_nothing_moves_within_the_tolerance() -> None:
    entities = holding(a=[1] * 104, b=[1] * 96)
    assert plan_rebalance(entities, [A, B], tolerance=0.05).note == "balanced within 5 %"
    assert len(plan_rebalance(entities, [A, B], tolerance=0.01).moves) == 3


def test_a_new_node_is_filled_without_moves_between_the_old_nodes() -> None:
    entities = [PlannerEntity(number, f"n{number % 9}", 1 + number % 7) for number in range(900)]
    entities = after(
        entities, plan_rebalance(entities, nodes := [PlannerNode(f"n{number}") for number in range(9)])
    )
    plan = plan_rebalance(entities, [*nodes, PlannerNode("new")])
    assert {move.target for move in plan.moves} == {"new"}
    assert plan.busiest_after <= 1.01


def test_nodes_without_free_capacity_exchange_over_a_third_node() -> None:
    entities = holding(a=[6, 6, 1], b=[3, 3, 1], c=[8])
    nodes = [
        PlannerNode("a", max_weight=13),
        PlannerNode("b", max_weight=13),
        PlannerNode("c", max_weight=13),
    ]
    plan = plan_rebalance(entities, nodes, tolerance=0)
    assert plan.busiest_after < plan.busiest


def test_full_nodes_exchange_by_a_detour_or_the_note_reports_no_balance() -> None:
    entities = holding(a=[4, 4], b=[2, 2], c=[6])
    full = [PlannerNode("a", 2), PlannerNode("b", 2)]
    full_plan = plan_rebalance(entities, full, tolerance=0)
    assert not full_plan.moves
    assert (full_plan.cannot_move, full_plan.note) == ([], "no balance within 0 % was found")
    plan = plan_rebalance(entities, [*full, PlannerNode("c", 2)], tolerance=0)
    assert [move.why for move in plan.moves].count("free capacity") == 1
    assert not plan.cannot_move
    assert plan.busiest_after == 1.0


def test_emergency_moves_only_the_excess_over_a_cap() -> None:
    entities = holding(a=[5, 4, 3], b=[1], c=[])
    plan = plan_rebalance(entities, [replace(A, max_weight=9), B, C], emergency=True)
    assert [(move.entity, move.target, move.why) for move in plan.moves] == [("a3", "c", "over cap")]
    assert plan_rebalance(entities, [A, B, C], emergency=True).note == "no node is over a cap"


def test_an_entity_over_all_other_caps_is_stuck_and_others_on_its_node_move() -> None:
    entities = holding(a=[500, 30, 20], b=[50], c=[60])
    nodes = [PlannerNode(name, max_weight=100) for name in "abc"]
    for plan in (plan_rebalance(entities, nodes, emergency=True), plan_rebalance(entities, nodes)):
        assert {move.entity for move in plan.moves} == {"a2", "a3"}
        assert plan.cannot_move == [
            ("a1", "its weight 500 exceeds every other max_weight (largest 100, on b)")
        ]


def test_a_drain_does_not_report_entities_over_a_cap_on_other_nodes() -> None:
    entities = holding(a=[0], b=[9])
    plan = plan_drain(
        entities,
        [replace(A, drain=True), PlannerNode("b", max_weight=1, takes=False), PlannerNode("c", max_weight=1)],
    )
    assert (moves_of(plan), plan.cannot_move) == ("a1>c", [])


def test_sources_and_pinned_limit_which_entities_move() -> None:
    entities = holding(a=[1] * 6, b=[1] * 6, c=[])
    assert {move.source for move in plan_rebalance(entities, [A, B, C], sources=["b"]).moves} == {"b"}
    pinned = plan_rebalance(entities, [replace(A, drain=True), B, C], pinned=["a1"])
    assert pinned.cannot_move == [("a1", "it is pinned")]
    assert "a1" not in {move.entity for move in pinned.moves}


def test_a_stuck_entity_is_reported_with_the_cap_that_prevents_its_move() -> None:
    entities = holding(a=[40, 5], b=[5])
    heavy = plan_drain(entities, [replace(A, drain=True), PlannerNode("b", max_weight=35)])
    assert moves_of(heavy) == "a2>b"
    assert heavy.cannot_move == [("a1", "its weight 40 exceeds every other max_weight (largest 35, on b)")]
    entities = holding(a=[30, 5], b=[10])
    tight = plan_drain(entities, [replace(A, drain=True), PlannerNode("b", max_weight=35)])
    assert tight.cannot_move == [("a1", "its weight 30 is more than max_weight leaves free on any node (20)")]
    full = plan_drain(entities, [replace(A, drain=True), PlannerNode("b", max_entities=1)])
    assert {reason for _, reason in full.cannot_move} == {"every node is at its max_entities"}
    alone = plan_drain(entities, [replace(A, drain=True)])
    assert {reason for _, reason in alone.cannot_move} == {"no other node takes entities"}
    assert alone.note == "no node takes entities"


def test_a_drain_moves_only_entities_of_drained_nodes_to_the_least_loaded() -> None:
    entities = holding(a=[2, 2, 2, 2], b=[9], c=[3])
    plan = plan_drain(entities, [replace(A, drain=True), B, C])
    assert {move.source for move in plan.moves} == {"a"}
    assert [node.weight_after for node in plan.nodes] == [0, 11, 9]
    assert {move.why for move in plan.moves} == {"drain"}


def test_nodes_without_slack_are_packed_exactly() -> None:
    entities = holding(a=[6, 5, 5, 4, 4, 3, 3])
    plan = plan_drain(
        entities, [replace(A, drain=True), PlannerNode("b", max_weight=15), PlannerNode("c", max_weight=15)]
    )
    assert not plan.cannot_move


def test_max_moves_and_at_once_limit_a_plan() -> None:
    entities = holding(a=list(range(1, 21)), b=[], c=[])
    some = plan_rebalance(entities, [A, B, C], max_moves=3)
    assert [move.weight for move in some.moves] == [20, 19, 18]
    assert some.note == "max_moves reached"
    assert 1 < some.busiest_after < some.busiest
    slow = plan_rebalance(entities, [A, B, C], at_once=2)
    assert [move.wave for move in slow.moves[:5]] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("entities", "nodes", "note"),
    [
        ([], [A], "there are no entities on these nodes"),
        (holding(a=[1]), [replace(A, takes=False)], "no node takes entities"),
        (holding(a=[1], b=[1]), [A, B], "balanced within 1 %"),
        (holding(a=[9], b=[1]), [A, B], "the heaviest entity weighs more than the even share"),
    ],
)
def test_the_note_of_an_empty_plan_gives_the_reason(
    entities: list[PlannerEntity], nodes: list[PlannerNode], note: str
) -> None:
    plan = plan_rebalance(entities, nodes)
    assert (plan.moves, plan.note) == ([], note)


def test_a_plan_has_gains_and_loads() -> None:
    plan = plan_rebalance(holding(a=[5, 5]), [A, B])
    assert [(move.gain, move.wave) for move in plan.moves] == [(10.0, 1)]
    assert [(node.entities, node.weight, node.entities_after, node.weight_after) for node in plan.nodes] == [
        (2, 10, 1, 5),
        (0, 0, 1, 5),
    ]
    assert (plan.busiest, plan.busiest_after) == (2.0, 1.0)
    assert str(plan).startswith("1 move, from 1 node to 1 node")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tolerance": 1.5}, "tolerance is a fraction of the even share, from 0 to 1, not 1.5"),
        ({"tolerance": float("nan")}, "tolerance is a fraction of the even share, from 0 to 1, not nan"),
        ({"max_moves": 0}, "max_moves is at least 1, not 0"),
        ({"at_once": -1}, "at_once is at least 1, not -1"),
        ({"objective": "speed"}, "objective is one of weight, moves, not 'speed'"),
        ({"entities": [PlannerEntity(1, "a"), PlannerEntity(1, "b")]}, "entity 1 occurs twice"),
        ({"entities": [PlannerEntity(1, "a", -2)]}, "entity 1 has a negative weight: -2"),
        ({"nodes": [A, A]}, "node 'a' occurs twice"),
    ],
)
def test_arguments_out_of_range_raise_value_error(options: dict[str, Any], problem: str) -> None:
    facts = {"entities": [], "nodes": [A, B], **options}
    with pytest.raises(ValueError, match=problem):
        plan_rebalance(**facts)


def test_an_unknown_source_raises_unknown_name() -> None:
    with pytest.raises(UnknownName, match="the mesh has no node 'x'; it has: a, b"):
        plan_rebalance([], [B, A], sources=["x"])
