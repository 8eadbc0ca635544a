"""Several services planned together on nodes with a shared cap, and exchanges that place remaining entities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from time import perf_counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workmesh_flows import EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.domain.criteria import Criterion
from workmesh_flows.planning.assignment.plan import AssignmentPlan, Load, Part, plan_together

ROUND_ROBIN, BY_NUMBER, BY_WEIGHT = RoundRobin(), EntityNumber(), EntityWeight(lambda entity: 1)
CRITERIA: list[Criterion] = [ROUND_ROBIN, BY_NUMBER, BY_WEIGHT]
SHARED = 'every node is at its max_entities, of this service or of all services ("*")'


def part(
    name: str,
    weights: Sequence[int],
    loads: Sequence[Load],
    criterion: Criterion = BY_WEIGHT,
    position: str | None = None,
) -> Part:
    """A service whose entities are its name with 1, 2, 3, ..."""
    entities = [(f"{name}{number}", weight) for number, weight in enumerate(weights, start=1)]
    return Part(name, criterion, entities, loads, position)


def test_a_shared_cap_applies_over_all_services() -> None:
    loads = [Load("n1"), Load("n2")]
    one, other = plan_together(
        [part("a", [1] * 3, loads, ROUND_ROBIN), part("b", [1] * 3, loads, ROUND_ROBIN)], {"n1": 2, "n2": 3}
    )
    assert one.unassigned == []
    assert Counter(node for plan in (one, other) for _, node in plan.assigned) == {"n1": 2, "n2": 3}
    assert other.unassigned == [("b3", SHARED)]


def test_a_node_over_its_shared_cap_receives_nothing() -> None:
    (plan,) = plan_together([part("a", [1, 1], [Load("n1", 9), Load("n2")], ROUND_ROBIN)], {"n1": -2})
    assert plan.assigned == [("a1", "n2"), ("a2", "n2")]


def test_a_service_with_one_node_is_placed_before_one_with_several() -> None:
    choice, bound = plan_together(
        [
            part("a", [1] * 4, [Load("n1"), Load("n2")], ROUND_ROBIN),
            part("b", [1, 1], [Load("n1")], ROUND_ROBIN),
        ],
        {"n1": 2, "n2": 4},
    )
    assert [node for _, node in bound.assigned] == ["n1", "n1"]
    assert [node for _, node in choice.assigned] == ["n2"] * 4


def test_round_robin_entities_move_so_that_another_service_fits() -> None:
    """On its own, round robin would fill n2, the only node with free weight for the other service."""
    loads = [Load("n1", max_weight=1), Load("n2", max_weight=9)]
    weighed, turned = plan_together(
        [part("a", [5], loads), part("b", [1, 1], [Load("n1"), Load("n2")], ROUND_ROBIN, position="n1")],
        {"n1": 2, "n2": 1},
    )
    assert weighed.assigned == [("a1", "n2")]
    assert [node for _, node in turned.assigned] == ["n1", "n1"]


def test_entities_are_exchanged_if_the_greedy_placement_leaves_one_over() -> None:
    """Heaviest first gives 4 + 3 and 4 + 3, and 2 remains; 4 + 4 and 3 + 3 + 2 fit."""
    (plan,) = plan_together(
        [part("a", [4, 4, 3, 3, 2], [Load("n1", max_weight=8), Load("n2", max_weight=8)])]
    )
    assert plan.unassigned == []
    nodes = dict(plan.assigned)
    assert nodes["a1"] == nodes["a2"] != nodes["a3"] == nodes["a4"] == nodes["a5"]


def test_without_a_search_budget_the_greedy_placement_stays() -> None:
    loads = [Load("n1", max_weight=8), Load("n2", max_weight=8)]
    (plan,) = plan_together([part("a", [4, 4, 3, 3, 2], loads)], budget=0)
    assert plan.unassigned == [("a5", "its weight 2 is more than max_weight leaves free on any node (1)")]


def test_entities_of_two_services_are_exchanged() -> None:
    """Each node takes one entity of each service, by weight; the shared cap alone would allow two of one."""
    loads = [Load("n1", max_weight=7), Load("n2", max_weight=6)]
    plans = plan_together([part("a", [6, 7], loads), part("b", [6, 7], loads)], {"n1": 2, "n2": 2})
    assert [sorted(plan.assigned) for plan in plans] == [
        [("a1", "n2"), ("a2", "n1")],
        [("b1", "n2"), ("b2", "n1")],
    ]


def test_an_entity_too_heavy_for_all_nodes_does_not_prevent_the_search() -> None:
    loads = [Load("n1", max_weight=8), Load("n2", max_weight=8)]
    (plan,) = plan_together([part("a", [9, 4, 4, 3, 3, 2], loads)])
    assert len(plan.assigned) == 5
    assert plan.unassigned == [("a1", "its weight 9 exceeds every max_weight (largest 8, on n1)")]


def test_a_search_without_a_solution_ends_soon() -> None:
    """Entities of weight 2 on nodes of 3: the total of free weight suffices, but no node has enough."""
    loads = [Load(f"n{number}", max_weight=3) for number in range(20)]
    began = perf_counter()
    (plan,) = plan_together([part("a", [2] * 30, loads)])
    assert perf_counter() - began < 20
    assert (len(plan.assigned), len(plan.unassigned)) == (20, 10)


# Any input

caps = st.none() | st.integers(0, 12)
NODES = "abcd"


@st.composite
def service_parts(draw: st.DrawFn) -> tuple[list[Part], dict[str, int]]:
    """Up to three services, and the number of entities that nodes may still receive over all of them."""
    parts = []
    for name in "xyz"[: draw(st.integers(1, 3))]:
        loads = draw(
            st.lists(
                st.builds(
                    Load,
                    st.sampled_from(NODES),
                    entities=st.integers(0, 3),
                    weight=st.integers(0, 6),
                    max_entities=caps,
                    max_weight=caps,
                ),
                unique_by=lambda load: load.node,
            )
        )
        criterion = draw(st.sampled_from(CRITERIA))
        weights = draw(st.lists(st.integers(0, 7), max_size=8))
        parts.append(part(name, weights, loads, criterion, draw(st.none() | st.sampled_from(NODES))))
    shared = draw(st.dictionaries(st.sampled_from(NODES), st.integers(-2, 9)))
    return parts, shared


def check(parts: Sequence[Part], shared: Mapping[str, int], plans: Sequence[AssignmentPlan]) -> None:
    """No prefix of a plan exceeds a cap; all entities are assigned or reported; no reported entity would fit."""
    free = dict(shared)
    held: dict[tuple[str, str], tuple[int, int]] = {}
    for one, plan in zip(parts, plans, strict=True):
        weights, by_name = dict(one.entities), {load.node: load for load in one.loads}
        held |= {(one.service, load.node): (load.entities, load.weight) for load in one.loads}
        for key, node in plan.assigned:
            number, weight = held[one.service, node]
            held[one.service, node] = number + 1, weight + weights[key]
            free[node] = free.get(node, 99) - 1
            assert free[node] >= 0
            assert fits(one.criterion, by_name[node], *held[one.service, node])
        everyone = sorted(key for key, _ in (*plan.assigned, *plan.unassigned))
        assert everyone == sorted(weights), "each entity once"
    for one, plan in zip(parts, plans, strict=True):
        weights = dict(one.entities)
        for key, reason in plan.unassigned:
            assert reason
            for load in one.loads:
                number, weight = held[one.service, load.node]
                has_slot = free.get(load.node, 99) >= 1
                assert not (has_slot and fits(one.criterion, load, number + 1, weight + weights[key]))


def fits(criterion: Criterion, load: Load, number: int, weight: int) -> bool:
    in_number = load.max_entities is None or number <= load.max_entities
    return in_number and (criterion is not BY_WEIGHT or load.max_weight is None or weight <= load.max_weight)


def plan_and_check(parts_and_shared: tuple[list[Part], dict[str, int]], mixed: Any) -> None:
    parts, shared = parts_and_shared
    before = deepcopy([(one.entities, one.loads) for one in parts]), dict(shared)
    plans = plan_together(parts, shared)
    assert ([(one.entities, one.loads) for one in parts], shared) == before
    check(parts, shared, plans)
    shuffled = [
        Part(one.service, one.criterion, iter(list(one.entities)), mixed.sample(one.loads, len(one.loads)), one.position)
        for one in parts
    ]  # fmt: skip
    assert plan_together(shuffled, dict(reversed(shared.items()))) == plans


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(parts_and_shared=service_parts(), mixed=st.randoms(use_true_random=False))
def test_no_cap_is_exceeded_and_all_entities_are_assigned_or_reported(
    parts_and_shared: tuple[list[Part], dict[str, int]], mixed: Any
) -> None:
    plan_and_check(parts_and_shared, mixed)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@settings(deadline=None, max_examples=10_000, suppress_health_check=[HealthCheck.too_slow])
@given(parts_and_shared=service_parts(), mixed=st.randoms(use_true_random=False))
def test_no_cap_is_exceeded_and_all_entities_are_assigned_or_reported_in_ten_thousand_cases(
    parts_and_shared: tuple[list[Part], dict[str, int]], mixed: Any
) -> None:
    plan_and_check(parts_and_shared, mixed)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    solution=st.lists(st.tuples(st.sampled_from("xy"), st.integers(1, 20), st.integers(0, 3)), max_size=24),
    spare=st.integers(0, 3),
)
def test_all_entities_are_assigned_if_a_solution_with_little_slack_exists(
    solution: list[tuple[str, int, int]], spare: int
) -> None:
    """A random assignment is the known solution: the caps are what it needs, plus a little weight."""
    parts = []
    for name in "xy":
        own = [(weight, node) for service, weight, node in solution if service == name]
        loads = [
            Load(f"n{number}", max_weight=sum(weight for weight, node in own if node == number) + spare)
            for number in range(4)
        ]
        parts.append(part(name, [weight for weight, _ in own], loads))
    shared = {f"n{number}": sum(node == number for _, _, node in solution) for number in range(4)}
    plans = plan_together(parts, shared)
    check(parts, shared, plans)
    assert [plan.unassigned for plan in plans] == [[], []]
