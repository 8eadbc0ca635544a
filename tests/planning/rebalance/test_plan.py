"""Who moves where, and what is said about it."""

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


def ways(plan: MovePlan) -> str:
    return " ".join(f"{move.entity}>{move.target}" for move in plan.moves)


def after(held: list[PlannerEntity], plan: MovePlan) -> list[PlannerEntity]:
    at = {move.entity: move.target for move in plan.moves}
    return [replace(one, node=at.get(one.key, one.node)) for one in held]


@pytest.mark.parametrize(
    ("held", "places", "moved"),
    [
        pytest.param(holding(a=[5, 5], b=[]), [A, B], "a1>b", id="half goes to an empty node"),
        pytest.param(holding(a=[5], b=[5]), [A, B], "", id="nothing where all is even"),
        pytest.param(holding(a=[50, 1, 1], b=[50]), [A, B], "a2>b", id="the light ones are enough"),
        pytest.param(holding(a=[5], b=[]), [A, B], "", id="one entity has to be somewhere"),
        pytest.param(holding(a=[3], b=[3], x=[9, 9]), [A, B], "", id="other nodes are left alone"),
        pytest.param(holding(a=[4, 4], b=[]), [replace(A, drain=True), B], "a1>b a2>b", id="a drained node is emptied"),
        pytest.param(holding(a=[4, 4], b=[]), [A, replace(B, takes=False)], "", id="a node that takes nothing gets nothing"),
        pytest.param(holding(a=[9, 9], b=[1, 1]), [replace(A, takes=False), B, C], "b1>c", id="nor is it in the balance"),
        pytest.param(holding(a=[1] * 6, b=[]), [replace(A, max_entities=2), replace(B, max_entities=4)],
            "a1>b a2>b a3>b a4>b", id="shares by max_entities where entities count 1"),
        pytest.param(holding(a=[10] * 6, b=[]), [replace(A, max_weight=20), replace(B, max_weight=40)],
            "a1>b a2>b a3>b a4>b", id="shares by max_weight"),
        pytest.param(holding(a=[1] * 6, b=[]), [A, replace(B, max_entities=2)], "a1>b a2>b", id="no more than a cap"),
        pytest.param(holding(a=[1] * 5, b=[1] * 5, c=[]), [A, B, C], "a1>c b1>c", id="a new node is filled from all"),
    ],
)  # fmt: skip
def test_entities_move_until_the_nodes_are_even(
    held: list[PlannerEntity], places: list[PlannerNode], moved: str
) -> None:
    plan = plan_rebalance(held, places)
    assert ways(plan) == moved
    assert not plan_rebalance(after(held, plan), places).moves


@pytest.mark.parametrize(
    ("held", "places", "loads"),
    [
        pytest.param(holding(a=[100], b=[9] * 10), [A, B, C], [100, 45, 45], id="the others are even"),
        pytest.param(holding(a=[100, 9, 9], b=[9] * 8), [A, B, C], [100, 45, 45], id="it has a node to itself"),
        pytest.param(holding(a=[100, 80], b=[9] * 8), [A, B, C, PlannerNode("d")], [100, 36, 80, 36], id="so have two"),
        pytest.param(holding(a=[100], b=[9] * 10), [replace(A, drain=True), B, C, PlannerNode("d")], [0, 45, 100, 45],
            id="also when it has to move"),
        pytest.param(holding(a=[100], b=[9] * 10), [A, replace(B, max_weight=99), C], [100, 45, 45], id="beside a cap"),
    ],
)  # fmt: skip
def test_an_entity_that_outweighs_the_even_share_keeps_nobody_from_being_even(
    held: list[PlannerEntity], places: list[PlannerNode], loads: list[int]
) -> None:
    plan = plan_rebalance(held, places)
    assert [node.weight_after for node in plan.nodes] == loads
    assert plan.note == "the heaviest entity weighs more than the even share"
    assert not plan_rebalance(after(held, plan), places).moves


def test_a_node_that_is_over_its_cap_gives_up_what_is_over_it() -> None:
    held = holding(a=[5, 5, 5], b=[])
    places = [replace(A, max_weight=12, takes=False), B]
    plan = plan_rebalance(held, places)
    assert [(move.entity, move.why) for move in plan.moves] == [("a1", "over cap")]


@pytest.mark.parametrize(("objective", "moved"), [("weight", "a2>b a3>b"), ("moves", "a1>b")])
def test_the_objective_says_what_is_to_be_least(objective: Any, moved: str) -> None:
    held = holding(a=[21, 9, 9, 30], b=[31])
    assert ways(plan_rebalance(held, [A, B], objective=objective, tolerance=0.06)) == moved


def test_within_the_tolerance_nothing_moves() -> None:
    held = holding(a=[1] * 104, b=[1] * 96)
    assert plan_rebalance(held, [A, B], tolerance=0.05).note == "balanced within 5 %"
    assert len(plan_rebalance(held, [A, B], tolerance=0.01).moves) == 3


def test_a_new_node_is_filled_and_nothing_moves_between_the_old_ones() -> None:
    held = [PlannerEntity(number, f"n{number % 9}", 1 + number % 7) for number in range(900)]
    held = after(held, plan_rebalance(held, places := [PlannerNode(f"n{number}") for number in range(9)]))
    plan = plan_rebalance(held, [*places, PlannerNode("new")])
    assert {move.target for move in plan.moves} == {"new"}
    assert plan.busiest_after <= 1.01


def test_an_exchange_without_room_goes_over_a_third_node() -> None:
    held = holding(a=[6, 6, 1], b=[3, 3, 1], c=[8])
    places = [
        PlannerNode("a", max_weight=13),
        PlannerNode("b", max_weight=13),
        PlannerNode("c", max_weight=13),
    ]
    plan = plan_rebalance(held, places, tolerance=0)
    assert plan.busiest_after < plan.busiest


def test_full_nodes_that_would_have_to_exchange_use_a_detour_or_say_what_is_in_the_way() -> None:
    held = holding(a=[4, 4], b=[2, 2], c=[6])
    full = [PlannerNode("a", 2), PlannerNode("b", 2)]
    stuck = plan_rebalance(held, full, tolerance=0)
    assert not stuck.moves
    assert (stuck.stuck, stuck.note) == ([], "no way to a balance within 0 % was found")
    plan = plan_rebalance(held, [*full, PlannerNode("c", 2)], tolerance=0)
    assert [move.why for move in plan.moves].count("make room") == 1
    assert not plan.stuck
    assert plan.busiest_after == 1.0


def test_emergency_moves_only_what_is_over_a_cap() -> None:
    held = holding(a=[5, 4, 3], b=[1], c=[])
    plan = plan_rebalance(held, [replace(A, max_weight=9), B, C], emergency=True)
    assert [(move.entity, move.target, move.why) for move in plan.moves] == [("a3", "c", "over cap")]
    assert plan_rebalance(held, [A, B, C], emergency=True).note == "no node is over a cap"


def test_what_outweighs_all_other_caps_is_borne_and_what_is_beside_it_moves() -> None:
    held = holding(a=[500, 30, 20], b=[50], c=[60])
    places = [PlannerNode(name, max_weight=100) for name in "abc"]
    for plan in (plan_rebalance(held, places, emergency=True), plan_rebalance(held, places)):
        assert {move.entity for move in plan.moves} == {"a2", "a3"}
        assert plan.stuck == [("a1", "its weight 500 is over every other max_weight (largest 100, on b)")]


def test_a_drain_says_nothing_of_what_is_over_a_cap_elsewhere() -> None:
    held = holding(a=[0], b=[9])
    plan = plan_drain(
        held,
        [replace(A, drain=True), PlannerNode("b", max_weight=1, takes=False), PlannerNode("c", max_weight=1)],
    )
    assert (ways(plan), plan.stuck) == ("a1>c", [])


def test_sources_and_pinned_narrow_down_what_moves() -> None:
    held = holding(a=[1] * 6, b=[1] * 6, c=[])
    assert {move.source for move in plan_rebalance(held, [A, B, C], sources=["b"]).moves} == {"b"}
    pinned = plan_rebalance(held, [replace(A, drain=True), B, C], pinned=["a1"])
    assert pinned.stuck == [("a1", "it is pinned")]
    assert "a1" not in {move.entity for move in pinned.moves}


def test_what_fits_nowhere_is_reported_with_the_cap_that_binds() -> None:
    held = holding(a=[40, 5], b=[5])
    heavy = plan_drain(held, [replace(A, drain=True), PlannerNode("b", max_weight=35)])
    assert ways(heavy) == "a2>b"
    assert heavy.stuck == [("a1", "its weight 40 is over every other max_weight (largest 35, on b)")]
    held = holding(a=[30, 5], b=[10])
    room = plan_drain(held, [replace(A, drain=True), PlannerNode("b", max_weight=35)])
    assert room.stuck == [("a1", "its weight 30 is over what max_weight leaves on any node (20)")]
    full = plan_drain(held, [replace(A, drain=True), PlannerNode("b", max_entities=1)])
    assert {reason for _, reason in full.stuck} == {"every node is at its max_entities"}
    alone = plan_drain(held, [replace(A, drain=True)])
    assert {reason for _, reason in alone.stuck} == {"no other node takes entities"}
    assert alone.note == "no node takes entities"


def test_a_drain_moves_only_what_is_drained_and_to_the_least_loaded() -> None:
    held = holding(a=[2, 2, 2, 2], b=[9], c=[3])
    plan = plan_drain(held, [replace(A, drain=True), B, C])
    assert {move.source for move in plan.moves} == {"a"}
    assert [node.weight_after for node in plan.nodes] == [0, 11, 9]
    assert {move.why for move in plan.moves} == {"drain"}


def test_tight_nodes_are_packed_exactly() -> None:
    held = holding(a=[6, 5, 5, 4, 4, 3, 3])
    plan = plan_drain(
        held, [replace(A, drain=True), PlannerNode("b", max_weight=15), PlannerNode("c", max_weight=15)]
    )
    assert not plan.stuck


def test_max_moves_and_at_once_bound_a_plan() -> None:
    held = holding(a=list(range(1, 21)), b=[], c=[])
    some = plan_rebalance(held, [A, B, C], max_moves=3)
    assert [move.weight for move in some.moves] == [20, 19, 18]
    assert some.note == "max_moves reached"
    assert 1 < some.busiest_after < some.busiest
    slow = plan_rebalance(held, [A, B, C], at_once=2)
    assert [move.wave for move in slow.moves[:5]] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("held", "places", "note"),
    [
        ([], [A], "nothing is held"),
        (holding(a=[1]), [replace(A, takes=False)], "no node takes entities"),
        (holding(a=[1], b=[1]), [A, B], "balanced within 1 %"),
        (holding(a=[9], b=[1]), [A, B], "the heaviest entity weighs more than the even share"),
    ],
)
def test_an_empty_plan_says_why(held: list[PlannerEntity], places: list[PlannerNode], note: str) -> None:
    plan = plan_rebalance(held, places)
    assert (plan.moves, plan.note) == ([], note)


def test_gains_and_loads_are_told() -> None:
    plan = plan_rebalance(holding(a=[5, 5]), [A, B])
    assert [(move.gain, move.wave) for move in plan.moves] == [(10.0, 1)]
    assert [(node.entities, node.weight, node.entities_after, node.weight_after) for node in plan.nodes] == [
        (2, 10, 1, 5),
        (0, 0, 1, 5),
    ]
    assert (plan.busiest, plan.busiest_after) == (2.0, 1.0)
    assert str(plan).startswith("1 move from 1 to 1 node")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tolerance": 1.5}, "tolerance is a part of the even share, from 0 to 1, not 1.5"),
        ({"tolerance": float("nan")}, "tolerance is a part of the even share, from 0 to 1, not nan"),
        ({"max_moves": 0}, "max_moves is at least 1, not 0"),
        ({"at_once": -1}, "at_once is at least 1, not -1"),
        ({"objective": "speed"}, "objective is one of weight, moves, not 'speed'"),
        ({"held": [PlannerEntity(1, "a"), PlannerEntity(1, "b")]}, "entity 1 is there twice"),
        ({"held": [PlannerEntity(1, "a", -2)]}, "entity 1 has a weight below 0: -2"),
        ({"places": [A, A]}, "node 'a' is there twice"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], problem: str) -> None:
    facts = {"held": [], "places": [A, B], **options}
    with pytest.raises(ValueError, match=problem):
        plan_rebalance(**facts)


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(UnknownName, match="there is no node 'x'; known: a, b"):
        plan_rebalance([], [B, A], sources=["x"])
