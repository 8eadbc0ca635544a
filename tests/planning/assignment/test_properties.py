"""Properties of every assignment plan: caps hold, no entity is lost, and round robin is fair."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workmesh_flows import EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.domain.criteria import Criterion
from workmesh_flows.planning.assignment.plan import Load, plan_assignment

ROUND_ROBIN, BY_NUMBER, BY_WEIGHT = RoundRobin(), EntityNumber(), EntityWeight(lambda entity: 1)
CRITERIA = [
    pytest.param(ROUND_ROBIN, id="round robin"),
    pytest.param(BY_NUMBER, id="number"),
    pytest.param(BY_WEIGHT, id="weight"),
]

caps = st.none() | st.integers(0, 12)
loads_of_any_kind = st.lists(
    st.builds(
        Load,
        st.sampled_from("abcdefg"),
        entities=st.integers(0, 12),
        weight=st.integers(0, 12),
        max_entities=caps,
        max_weight=caps,
    ),
    unique_by=lambda load: load.node,
)
weights_of_any_kind = st.lists(st.integers(0, 9), max_size=30)
positions = st.none() | st.sampled_from("aceXz")


def weighing(*weights: int) -> list[tuple[int, int]]:
    """Entities 1, 2, 3, ... of these weights."""
    return list(enumerate(weights, start=1))


def fits(criterion: Criterion, load: Load, number: int, weight: int) -> bool:
    """Whether a node may hold this number of entities and this weight."""
    in_number = load.max_entities is None or number <= load.max_entities
    in_weight = criterion is not BY_WEIGHT or load.max_weight is None or weight <= load.max_weight
    return in_number and in_weight


@pytest.mark.parametrize("criterion", CRITERIA)
@settings(deadline=None)
@given(weights=weights_of_any_kind, loads=loads_of_any_kind, position=positions)
def test_no_cap_is_exceeded_and_no_unassigned_entity_would_fit(
    criterion: Criterion, weights: list[int], loads: list[Load], position: str | None
) -> None:
    plan = plan_assignment(criterion, weighing(*weights), loads, position)
    assigned_to: dict[Any, str] = dict(plan.assigned)
    held = {load.node: (load.entities, load.weight) for load in loads}
    by_name = {load.node: load for load in loads}
    for entity, node in plan.assigned:  # check after each prefix of the plan
        held[node] = (held[node][0] + 1, held[node][1] + weights[entity - 1])
        assert fits(criterion, by_name[node], *held[node])
    # Loads only grow, so an entity that does not fit at the end did not fit earlier.
    for entity, _ in plan.unassigned:
        weight = weights[entity - 1]
        assert not any(fits(criterion, by_name[node], n + 1, w + weight) for node, (n, w) in held.items())
    everyone = sorted([entity for entity, _ in (*plan.assigned, *plan.unassigned)])
    assert everyone == list(range(1, len(weights) + 1))
    assert len(assigned_to) == len(plan.assigned)


@pytest.mark.parametrize("criterion", CRITERIA)
@settings(deadline=None)
@given(weights=weights_of_any_kind, loads=loads_of_any_kind, position=positions, mixed=st.randoms())
def test_the_same_facts_give_the_same_plan_and_are_not_changed(
    criterion: Criterion, weights: list[int], loads: list[Load], position: str | None, mixed: Any
) -> None:
    given_entities, before = weighing(*weights), (weighing(*weights), deepcopy(loads))
    plan = plan_assignment(criterion, given_entities, loads, position)
    assert (given_entities, loads) == before
    mixed.shuffle(loads)
    assert plan_assignment(criterion, iter(given_entities), tuple(loads), position) == plan


@given(count=st.integers(0, 60), loads=loads_of_any_kind, position=positions)
def test_round_robin_counts_differ_by_at_most_one(
    count: int, loads: list[Load], position: str | None
) -> None:
    free = [Load(load.node, load.entities) for load in loads]
    per_node = Counter(
        node for _, node in plan_assignment(ROUND_ROBIN, weighing(*[1] * count), free, position).assigned
    )
    counts = [per_node[load.node] for load in free]
    assert sum(counts) == (count if free else 0)
    assert max(counts, default=0) - min(counts, default=0) <= 1


@given(weights=weights_of_any_kind, count=st.integers(1, 6))
def test_by_weight_each_entity_goes_to_the_lightest_node(weights: list[int], count: int) -> None:
    """The condition of Graham's bound: a node was the lightest when it received its last entity."""
    plan = plan_assignment(BY_WEIGHT, weighing(*weights), [Load(str(number)) for number in range(count)])
    totals = {str(number): 0 for number in range(count)}
    for entity, node in plan.assigned:
        assert totals[node] == min(totals.values()) or not weights[entity - 1]
        totals[node] += weights[entity - 1]
    placed = [weights[entity - 1] for entity, _ in plan.assigned]
    assert all(heavier >= lighter for heavier, lighter in pairwise(placed))
