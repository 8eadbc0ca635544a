"""What a flag adds to the counter of its lane and to the correction: the sum is always exact."""

from __future__ import annotations

from itertools import product

import pytest

from workmesh_flows.domain.lane import Direction
from workmesh_flows.planning.counting import count_flag


@pytest.mark.parametrize(
    ("lane", "before", "success", "expected"),
    [
        pytest.param(("push", "pull"), (False, False), True, (1, 0), id="a record is pushed"),
        pytest.param(
            ("push", "push"), (False, True), True, (1, 0), id="a record without results is processed"
        ),
        pytest.param(("pull", "pull"), (True, False), True, (1, 0), id="a result is pulled"),
        pytest.param(("push", "push"), (False, True), False, (0, 0), id="a record is refused"),
        pytest.param(("pull", "pull"), (True, False), False, (0, 0), id="a record failed at its node"),
        pytest.param(("push", "push"), (True, True), True, (0, 0), id="a record is flagged again"),
        pytest.param(("pull", "pull"), (True, True), True, (0, 0), id="a result is flagged again"),
        pytest.param(
            ("pull", "pull"), (False, False), True, (0, 0), id="a result of a record that is pending again"
        ),
        pytest.param(
            ("push", "pull"), (False, True), True, (1, 1), id="a record whose result is there already"
        ),
        pytest.param(
            ("push", "push"), (True, True), False, (0, -1), id="a record that another lane pushed is refused"
        ),
        pytest.param(
            ("push", "pull"), (True, True), False, (0, -1), id="one whose result is pulled is refused"
        ),
        pytest.param(("pull", "pull"), (True, True), False, (0, -1), id="a processed record fails"),
    ],
)
def test_a_record_counts_once_for_the_lane_that_processed_it(
    lane: tuple[Direction, Direction], before: tuple[bool, bool], success: bool, expected: tuple[int, int]
) -> None:
    """``lane``: its direction, and the one that counts; ``before``: whether the record is pushed, and pulled."""
    assert count_flag(*lane, pushed=before[0], pulled=before[1], success=success) == expected


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_counter_and_correction_follow_the_flags(direction: Direction) -> None:
    for pushed, pulled, success in product([True, False], repeat=3):
        before = pushed and pulled
        after = (success and pulled) if direction == "push" else (pushed and success)
        found = count_flag(direction, "pull", pushed=pushed, pulled=pulled, success=success)
        assert (found.done if direction == "pull" else 0) + found.correction == after - before
        assert found.done >= 0, "a counter never falls"
