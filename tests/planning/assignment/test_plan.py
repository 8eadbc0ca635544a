"""Which node for which entity: in turn, by number or by weight, and never over a cap."""

from __future__ import annotations

from collections import Counter
from time import perf_counter

import pytest

from workmesh_flows import EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.domain.criteria import Criterion
from workmesh_flows.planning.assignment.plan import AssignmentPlan, Load, plan_assignment

BY_TURNS, BY_NUMBER, BY_WEIGHT = RoundRobin(), EntityNumber(), EntityWeight(lambda entity: 1)


def entities(count: int) -> list[tuple[int, int]]:
    return [(number, 1) for number in range(1, count + 1)]


def weighing(*weights: int) -> list[tuple[int, int]]:
    """Entities 1, 2, 3, ... of these weights."""
    return list(enumerate(weights, start=1))


def nodes(plan: AssignmentPlan) -> str:
    return "".join(node for _, node in plan.assigned)


@pytest.mark.parametrize(
    ("loads", "position", "given_to"),
    [
        pytest.param([Load("a"), Load("b"), Load("c")], None, "abcab", id="starts with the first"),
        pytest.param([Load("c"), Load("a"), Load("b")], None, "abcab", id="goes by name, not by place"),
        pytest.param([Load("a"), Load("b"), Load("c")], "a", "bcabc", id="goes on behind the last"),
        pytest.param([Load("a"), Load("b"), Load("c")], "c", "abcab", id="begins again behind the last of all"),
        pytest.param([Load("a"), Load("c"), Load("e")], "b", "ceace", id="goes on where the last is gone"),
        pytest.param([Load("b"), Load("c")], "a", "bcbcb", id="position before the first"),
        pytest.param([Load("a"), Load("b")], "x", "ababa", id="position after the last"),
        pytest.param([Load("a")], "a", "aaaaa", id="one node"),
        pytest.param([Load("a", 9, max_entities=9), Load("b"), Load("c")], None, "bcbcb", id="passes over a full node"),
        pytest.param([Load("a"), Load("b", max_entities=1), Load("c")], None, "abcac", id="leaves out a node once it is full"),
        pytest.param([Load("a", max_entities=1), Load("b", max_entities=1), Load("c")], None, "abccc", id="two that fill"),
        pytest.param([Load("a"), Load("b", max_entities=0)], None, "aaaaa", id="a cap of 0 takes nothing"),
        pytest.param([Load("a", 10, max_entities=9), Load("b")], None, "bbbbb", id="a node over its cap takes nothing"),
        pytest.param([Load("a", max_weight=0), Load("b")], None, "ababa", id="weight does not count"),
        pytest.param([Load("a", 100, 100), Load("b")], None, "ababa", id="what they hold does not count"),
    ],
)  # fmt: skip
def test_round_robin_goes_from_node_to_node(loads: list[Load], position: str | None, given_to: str) -> None:
    plan = plan_assignment(BY_TURNS, entities(5), loads, position)
    assert nodes(plan) == given_to
    assert plan.position == given_to[-1]
    assert [entity for entity, _ in plan.assigned] == [1, 2, 3, 4, 5]
    assert plan.unassigned == []


def test_round_robin_keeps_its_position_where_it_gives_nothing() -> None:
    assert plan_assignment(BY_TURNS, [], [Load("a"), Load("b")], "a").position == "a"
    assert plan_assignment(BY_TURNS, entities(2), [], "a").position == "a"
    assert plan_assignment(BY_TURNS, entities(2), [Load("b", max_entities=0)], "a").position == "a"


def test_round_robin_of_one_entity_a_run_favours_no_node() -> None:
    position, given_to = None, list[str]()
    for _ in range(300):
        plan = plan_assignment(BY_TURNS, entities(1), [Load(name) for name in "abc"], position)
        position = plan.position
        given_to.append(nodes(plan))
    assert Counter(given_to) == {"a": 100, "b": 100, "c": 100}


def test_round_robin_of_one_entity_a_run_favours_no_node_while_others_come_and_go() -> None:
    """Nodes v to z are there all the time; a to e come and go, one at a time."""
    position, given_to = None, list[str]()
    for run in range(1_200):
        names = [*"vwxyz", "abcde"[run // 7 % 5]]
        plan = plan_assignment(BY_TURNS, entities(1), [Load(name) for name in names], position)
        position = plan.position
        given_to.append(nodes(plan))
    counts = Counter(given_to)
    always = [counts[name] for name in "vwxyz"]
    assert max(counts[name] for name in "abcde") < min(always)
    assert max(always) - min(always) <= 1


@pytest.mark.parametrize(
    ("loads", "given_to"),
    [
        pytest.param([Load("a"), Load("b")], "ababab", id="ties go to the first name"),
        pytest.param([Load("b"), Load("a")], "ababab", id="ties go by name, not by place"),
        pytest.param([Load("a", 4), Load("b", 1)], "bbbaba", id="the emptier one first"),
        pytest.param([Load("a", 0, 9), Load("b", 1, 0)], "aababa", id="weight does not count"),
        pytest.param(
            [Load("a", max_entities=4), Load("b", max_entities=2)], "abaaba", id="in proportion to the caps"
        ),
        pytest.param(
            [Load("a", 50, max_entities=100), Load("b", 6, max_entities=10)], "aaaaaa", id="load for capacity, not load"
        ),
        pytest.param(
            [Load("a", 5, max_entities=100), Load("b", 3)], "bbabab", id="plain load where a cap is missing"
        ),
        pytest.param(
            [Load("a", max_entities=0), Load("b", 5, max_entities=10), Load("c", 20, max_entities=100)],
            "cccccc",
            id="a cap of 0 is a cap",
        ),
        pytest.param([Load("a", max_entities=1), Load("b", 5)], "abbbbb", id="leaves out a node once it is full"),
        pytest.param([Load("a", max_weight=0), Load("b", 9)], "aaaaaa", id="a cap of weight does not count"),
    ],
)  # fmt: skip
def test_by_number_the_node_with_the_fewest_entities_for_its_capacity_comes_first(
    loads: list[Load], given_to: str
) -> None:
    plan = plan_assignment(BY_NUMBER, entities(6), loads, "kept")
    assert nodes(plan) == given_to
    assert [entity for entity, _ in plan.assigned] == [1, 2, 3, 4, 5, 6]
    assert plan.position == "kept"


@pytest.mark.parametrize(
    ("loads", "weights", "assigned"),
    [
        pytest.param([Load("a"), Load("b")], [1, 5, 3], "2a 3b 1b", id="the heaviest first"),
        pytest.param([Load("a"), Load("b")], [2, 2, 2], "1a 2b 3a", id="ties in the order given, to the first name"),
        pytest.param([Load("a", 0, 9), Load("b", 9, 0)], [1, 1], "1b 2b", id="number does not count"),
        pytest.param([Load("a", 9, 0, max_entities=10), Load("b", 0, 5)], [1, 1], "1a 2b", id="but its cap does"),
        pytest.param(
            [Load("a", 0, 50, max_weight=100), Load("b", 0, 6, max_weight=10)],
            [1, 1],
            "1a 2a",
            id="load for capacity, not load",
        ),
        pytest.param(
            [Load("a", 0, 5, max_weight=100), Load("b", 0, 3)], [1, 1, 1], "1b 2b 3a", id="plain load where a cap is missing"
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
            id="a heavy one goes past a node that it does not fit, a light one does not",
        ),
        pytest.param(
            [Load("a", 0, 0, max_weight=4), Load("b", 0, 0, max_weight=4)], [3, 3, 1, 1], "1a 2b 3a 4b", id="to the brim"
        ),
        pytest.param([Load("a", 0, 5, max_weight=5), Load("b", 0, 9)], [0, 1], "2b 1a", id="nothing weighs nothing"),
    ],
)  # fmt: skip
def test_by_weight_the_node_with_the_least_weight_for_its_capacity_comes_first(
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
        pytest.param(BY_TURNS, [], [1, 1], {1: NO_NODE, 2: NO_NODE}, id="turns, no node"),
        pytest.param(BY_NUMBER, [], [1], {1: NO_NODE}, id="number, no node"),
        pytest.param(BY_WEIGHT, [], [1], {1: NO_NODE}, id="weight, no node"),
        pytest.param(BY_TURNS, [Load("a", max_entities=2)], [1] * 4, {3: ALL_FULL, 4: ALL_FULL}, id="turns, full"),
        pytest.param(BY_NUMBER, [Load("a", max_entities=2)], [1] * 4, {3: ALL_FULL, 4: ALL_FULL}, id="number, full"),
        pytest.param(BY_WEIGHT, [Load("a", max_entities=2)], [1] * 4, {3: ALL_FULL, 4: ALL_FULL}, id="weight, full"),
        pytest.param(
            BY_WEIGHT,
            [Load("a", 0, 2, max_weight=5), Load("b", 0, 3, max_weight=5)],
            [7, 4],
            {
                1: "its weight 7 is over every max_weight (largest 5, on a)",
                2: "its weight 4 is over what max_weight leaves on any node (3)",
            },
            id="weight, too heavy",
        ),
        pytest.param(
            BY_WEIGHT,
            [Load("a", 0, 9, max_weight=5)],
            [1],
            {1: "its weight 1 is over what max_weight leaves on any node (0)"},
            id="weight, a node over its cap",
        ),
        pytest.param(
            BY_WEIGHT,
            [Load("a", 1, 0, max_entities=1, max_weight=100), Load("b", 0, 0, max_weight=5)],
            [6],
            {1: "its weight 6 is over what max_weight leaves on any node (5)"},
            id="weight, one full and one too small",
        ),
        pytest.param(
            BY_WEIGHT,
            [Load("b", max_weight=120), Load("a", max_entities=0, max_weight=120), Load("c", max_weight=9)],
            [140],
            {1: "its weight 140 is over every max_weight (largest 120, on a)"},
            id="weight, heavier than every cap",
        ),
        pytest.param(
            BY_WEIGHT,
            [Load("a", max_weight=120), Load("b", max_entities=0)],
            [140],
            {1: "its weight 140 is over what max_weight leaves on any node (120)"},
            id="weight, a node without such a cap is full",
        ),
    ],
)  # fmt: skip
def test_what_fits_nowhere_is_told_the_cap_that_binds(
    criterion: Criterion, loads: list[Load], weights: list[int], reasons: dict[int, str]
) -> None:
    assert dict(plan_assignment(criterion, weighing(*weights), loads).unassigned) == reasons


@pytest.mark.parametrize(
    ("count", "loads", "text"),
    [
        pytest.param(5, [Load("a", max_entities=2), Load("b", max_entities=1)], "3 entities to 2 nodes, 2 fit nowhere: every node is at its max_entities", id="many"),
        pytest.param(2, [Load("a", max_entities=1)], "1 entity to 1 node, 1 fits nowhere: every node is at its max_entities", id="one of each"),
        pytest.param(2_000, [Load("a")], "2,000 entities to 1 node", id="thousands"),
        pytest.param(0, [Load("a")], "no entity gets a node; none is without one", id="nothing to do"),
        pytest.param(2, [], "no entity gets a node; 2 entities are without one: no active node runs the service", id="no node"),
        pytest.param(
            1,
            [Load("a", max_entities=0)],
            "no entity gets a node; 1 entity is without one: every node is at its max_entities",
            id="no room",
        ),
    ],
)  # fmt: skip
def test_a_plan_can_be_read_aloud(count: int, loads: list[Load], text: str) -> None:
    assert str(plan_assignment(BY_NUMBER, entities(count), loads)) == text


def test_many_entities_are_planned_soon_even_where_nodes_are_nearly_full() -> None:
    many = [(number, 1 + number % 50) for number in range(100_000)]
    loads = [Load(f"n{number}", weight=number, max_weight=500) for number in range(99)]
    began = perf_counter()
    short = plan_assignment(BY_WEIGHT, many, loads)
    enough = plan_assignment(BY_WEIGHT, many, [*loads, Load("z")])
    assert perf_counter() - began < 5
    assert len(short.assigned) + len(short.unassigned) == len(many) == len(enough.assigned)
    assert len(short.unassigned) > 90_000
