"""Assigning entities to nodes by each criterion, and never over a cap."""

from __future__ import annotations

from collections import Counter
from time import perf_counter

import pytest

from workmesh_flows import EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.domain.criteria import Criterion
from workmesh_flows.planning.assignment.plan import AssignmentPlan, Load, plan_assignment

ROUND_ROBIN, BY_NUMBER, BY_WEIGHT = RoundRobin(), EntityNumber(), EntityWeight(lambda entity: 1)


def entities(count: int) -> list[tuple[int, int]]:
    return [(number, 1) for number in range(1, count + 1)]


def weighing(*weights: int) -> list[tuple[int, int]]:
    """Entities 1, 2, 3, ... of these weights."""
    return list(enumerate(weights, start=1))


def nodes(plan: AssignmentPlan) -> str:
    return "".join(node for _, node in plan.assigned)


@pytest.mark.parametrize(
    ("loads", "position", "assigned_to"),
    [
        pytest.param([Load("a"), Load("b"), Load("c")], None, "abcab", id="starts at the first"),
        pytest.param([Load("c"), Load("a"), Load("b")], None, "abcab", id="sorts nodes by name"),
        pytest.param([Load("a"), Load("b"), Load("c")], "a", "bcabc", id="continues after the position"),
        pytest.param([Load("a"), Load("b"), Load("c")], "c", "abcab", id="wraps around after the last node"),
        pytest.param([Load("a"), Load("c"), Load("e")], "b", "ceace", id="the node of the position was removed"),
        pytest.param([Load("b"), Load("c")], "a", "bcbcb", id="position before the first"),
        pytest.param([Load("a"), Load("b")], "x", "ababa", id="position after the last"),
        pytest.param([Load("a")], "a", "aaaaa", id="one node"),
        pytest.param([Load("a", 9, max_entities=9), Load("b"), Load("c")], None, "bcbcb", id="skips a full node"),
        pytest.param([Load("a"), Load("b", max_entities=1), Load("c")], None, "abcac", id="skips a node that becomes full"),
        pytest.param([Load("a", max_entities=1), Load("b", max_entities=1), Load("c")], None, "abccc", id="two nodes become full"),
        pytest.param([Load("a"), Load("b", max_entities=0)], None, "aaaaa", id="a cap of 0"),
        pytest.param([Load("a", 10, max_entities=9), Load("b")], None, "bbbbb", id="a node over its cap receives nothing"),
        pytest.param([Load("a", max_weight=0), Load("b")], None, "ababa", id="ignores weight"),
        pytest.param([Load("a", 100, 100), Load("b")], None, "ababa", id="ignores the load"),
    ],
)  # fmt: skip
def test_round_robin_assigns_to_the_nodes_in_turn(
    loads: list[Load], position: str | None, assigned_to: str
) -> None:
    plan = plan_assignment(ROUND_ROBIN, entities(5), loads, position)
    assert nodes(plan) == assigned_to
    assert plan.position == assigned_to[-1]
    assert [entity for entity, _ in plan.assigned] == [1, 2, 3, 4, 5]
    assert plan.unassigned == []


def test_round_robin_keeps_its_position_if_it_assigns_nothing() -> None:
    assert plan_assignment(ROUND_ROBIN, [], [Load("a"), Load("b")], "a").position == "a"
    assert plan_assignment(ROUND_ROBIN, entities(2), [], "a").position == "a"
    assert plan_assignment(ROUND_ROBIN, entities(2), [Load("b", max_entities=0)], "a").position == "a"


def test_round_robin_of_one_entity_per_run_is_fair() -> None:
    position, assigned_to = None, list[str]()
    for _ in range(300):
        plan = plan_assignment(ROUND_ROBIN, entities(1), [Load(name) for name in "abc"], position)
        position = plan.position
        assigned_to.append(nodes(plan))
    assert Counter(assigned_to) == {"a": 100, "b": 100, "c": 100}


def test_round_robin_of_one_entity_per_run_is_fair_while_nodes_change() -> None:
    """Nodes v to z are always present; one of the nodes a to e at a time."""
    position, assigned_to = None, list[str]()
    for run in range(1_200):
        names = [*"vwxyz", "abcde"[run // 7 % 5]]
        plan = plan_assignment(ROUND_ROBIN, entities(1), [Load(name) for name in names], position)
        position = plan.position
        assigned_to.append(nodes(plan))
    counts = Counter(assigned_to)
    always = [counts[name] for name in "vwxyz"]
    assert max(counts[name] for name in "abcde") < min(always)
    assert max(always) - min(always) <= 1


@pytest.mark.parametrize(
    ("loads", "assigned_to"),
    [
        pytest.param([Load("a"), Load("b")], "ababab", id="ties go to the first name"),
        pytest.param([Load("b"), Load("a")], "ababab", id="ties go to the first name in any order of nodes"),
        pytest.param([Load("a", 4), Load("b", 1)], "bbbaba", id="the node with fewer entities first"),
        pytest.param([Load("a", 0, 9), Load("b", 1, 0)], "aababa", id="ignores weight"),
        pytest.param(
            [Load("a", max_entities=4), Load("b", max_entities=2)], "abaaba", id="in proportion to the caps"
        ),
        pytest.param(
            [Load("a", 50, max_entities=100), Load("b", 6, max_entities=10)], "aaaaaa", id="load relative to capacity"
        ),
        pytest.param(
            [Load("a", 5, max_entities=100), Load("b", 3)], "bbabab", id="absolute load if a cap is missing"
        ),
        pytest.param(
            [Load("a", max_entities=0), Load("b", 5, max_entities=10), Load("c", 20, max_entities=100)],
            "cccccc",
            id="a cap of 0 is a cap",
        ),
        pytest.param([Load("a", max_entities=1), Load("b", 5)], "abbbbb", id="skips a node that becomes full"),
        pytest.param([Load("a", max_weight=0), Load("b", 9)], "aaaaaa", id="ignores max_weight"),
    ],
)  # fmt: skip
def test_by_number_the_node_with_the_fewest_entities_relative_to_its_capacity_is_chosen(
    loads: list[Load], assigned_to: str
) -> None:
    plan = plan_assignment(BY_NUMBER, entities(6), loads, "kept")
    assert nodes(plan) == assigned_to
    assert [entity for entity, _ in plan.assigned] == [1, 2, 3, 4, 5, 6]
    assert plan.position == "kept"


@pytest.mark.parametrize(
    ("loads", "weights", "assigned"),
    [
        pytest.param([Load("a"), Load("b")], [1, 5, 3], "2a 3b 1b", id="the heaviest first"),
        pytest.param([Load("a"), Load("b")], [2, 2, 2], "1a 2b 3a", id="ties in the given order, to the first name"),
        pytest.param([Load("a", 0, 9), Load("b", 9, 0)], [1, 1], "1b 2b", id="ignores the number"),
        pytest.param([Load("a", 9, 0, max_entities=10), Load("b", 0, 5)], [1, 1], "1a 2b", id="applies max_entities"),
        pytest.param(
            [Load("a", 0, 50, max_weight=100), Load("b", 0, 6, max_weight=10)],
            [1, 1],
            "1a 2a",
            id="load relative to capacity",
        ),
        pytest.param(
            [Load("a", 0, 5, max_weight=100), Load("b", 0, 3)], [1, 1, 1], "1b 2b 3a", id="absolute load if a cap is missing"
        ),
        pytest.param(
            [Load("a", 0, 0, max_weight=0), Load("b", 0, 5, max_weight=10), Load("c", 0, 20, max_weight=100)],
            [1, 1],
            "1c 2c",
            id="a cap of 0 is a cap",
        ),
        pytest.param(
            [Load("a", 0, 0, max_weight=3), Load("b", 0, 9, max_weight=18)],
            [4, 3, 2],
            "1b 2a 3b",
            id="a node too small for a heavy entity gets a lighter one",
        ),
        pytest.param(
            [Load("a", 0, 0, max_weight=4), Load("b", 0, 0, max_weight=4)], [3, 3, 1, 1], "1a 2b 3a 4b", id="fills nodes exactly"
        ),
        pytest.param([Load("a", 0, 5, max_weight=5), Load("b", 0, 9)], [0, 1], "2b 1a", id="an entity of weight 0"),
    ],
)  # fmt: skip
def test_by_weight_the_node_with_the_least_weight_relative_to_its_capacity_is_chosen(
    loads: list[Load], weights: list[int], assigned: str
) -> None:
    plan = plan_assignment(BY_WEIGHT, weighing(*weights), loads, "kept")
    assert " ".join(f"{entity}{node}" for entity, node in plan.assigned) == assigned
    assert plan.unassigned == []
    assert plan.position == "kept"


NO_NODE, ALL_FULL = "no active node runs the service", "every node is at its max_entities"


@pytest.mark.parametrize(
    ("criterion", "loads", "weights", "reasons"),
    [
        pytest.param(ROUND_ROBIN, [], [1, 1], {1: NO_NODE, 2: NO_NODE}, id="round robin, no node"),
        pytest.param(BY_NUMBER, [], [1], {1: NO_NODE}, id="number, no node"),
        pytest.param(BY_WEIGHT, [], [1], {1: NO_NODE}, id="weight, no node"),
        pytest.param(ROUND_ROBIN, [Load("a", max_entities=2)], [1] * 4, {3: ALL_FULL, 4: ALL_FULL}, id="round robin, full"),
        pytest.param(BY_NUMBER, [Load("a", max_entities=2)], [1] * 4, {3: ALL_FULL, 4: ALL_FULL}, id="number, full"),
        pytest.param(BY_WEIGHT, [Load("a", max_entities=2)], [1] * 4, {3: ALL_FULL, 4: ALL_FULL}, id="weight, full"),
        pytest.param(
            BY_WEIGHT,
            [Load("a", 0, 2, max_weight=5), Load("b", 0, 3, max_weight=5)],
            [7, 4],
            {
                1: "its weight 7 exceeds every max_weight (largest 5, on a)",
                2: "its weight 4 is more than max_weight leaves free on any node (3)",
            },
            id="weight, too heavy",
        ),
        pytest.param(
            BY_WEIGHT,
            [Load("a", 0, 9, max_weight=5)],
            [1],
            {1: "its weight 1 is more than max_weight leaves free on any node (0)"},
            id="weight, a node over its cap",
        ),
        pytest.param(
            BY_WEIGHT,
            [Load("a", 1, 0, max_entities=1, max_weight=100), Load("b", 0, 0, max_weight=5)],
            [6],
            {1: "its weight 6 is more than max_weight leaves free on any node (5)"},
            id="weight, one node full and one too small",
        ),
        pytest.param(
            BY_WEIGHT,
            [Load("b", max_weight=120), Load("a", max_entities=0, max_weight=120), Load("c", max_weight=9)],
            [140],
            {1: "its weight 140 exceeds every max_weight (largest 120, on a)"},
            id="weight, heavier than every cap",
        ),
        pytest.param(
            BY_WEIGHT,
            [Load("a", max_weight=120), Load("b", max_entities=0)],
            [140],
            {1: "its weight 140 is more than max_weight leaves free on any node (120)"},
            id="weight, a node without max_weight is full",
        ),
    ],
)  # fmt: skip
def test_an_unassigned_entity_has_the_cap_that_prevents_it_as_reason(
    criterion: Criterion, loads: list[Load], weights: list[int], reasons: dict[int, str]
) -> None:
    assert dict(plan_assignment(criterion, weighing(*weights), loads).unassigned) == reasons


@pytest.mark.parametrize(
    ("count", "loads", "text"),
    [
        pytest.param(5, [Load("a", max_entities=2), Load("b", max_entities=1)], "3 entities to 2 nodes (a 2, b 1), 2 could not be assigned: every node is at its max_entities", id="many"),
        pytest.param(2, [Load("a", max_entities=1)], "1 entity to 1 node (a 1), 1 could not be assigned: every node is at its max_entities", id="one of each"),
        pytest.param(2_000, [Load("a")], "2,000 entities to 1 node (a 2,000)", id="thousands"),
        pytest.param(0, [Load("a")], "every entity has a node", id="nothing to do"),
        pytest.param(2, [], "2 entities could not be assigned: no active node runs the service", id="no node"),
        pytest.param(
            1,
            [Load("a", max_entities=0)],
            "1 entity could not be assigned: every node is at its max_entities",
            id="no capacity",
        ),
    ],
)  # fmt: skip
def test_the_text_of_a_plan_is_one_sentence(count: int, loads: list[Load], text: str) -> None:
    assert str(plan_assignment(BY_NUMBER, entities(count), loads)) == text


def test_a_hundred_thousand_entities_are_planned_in_seconds_on_nearly_full_nodes() -> None:
    many = [(number, 1 + number % 50) for number in range(100_000)]
    loads = [Load(f"n{number}", weight=number, max_weight=500) for number in range(99)]
    began = perf_counter()
    short = plan_assignment(BY_WEIGHT, many, loads)
    enough = plan_assignment(BY_WEIGHT, many, [*loads, Load("z")])
    assert perf_counter() - began < 5
    assert len(short.assigned) + len(short.unassigned) == len(many) == len(enough.assigned)
    assert len(short.unassigned) > 90_000
