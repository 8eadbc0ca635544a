"""The state of a record after a number of refusals."""

from __future__ import annotations

from typing import get_args

import pytest

from workmesh_flows.domain.protocol import Policy
from workmesh_flows.planning.refusals import RefusalState, state_after


@pytest.mark.parametrize(
    ("attempts", "most", "policy", "state"),
    [
        pytest.param(1, 5, "park_entity", RefusalState.RETRYING, id="the first of five"),
        pytest.param(4, 5, "block", RefusalState.RETRYING, id="the fourth of five"),
        pytest.param(5, 5, "park_entity", RefusalState.PARKED, id="the last parks the record"),
        pytest.param(5, 5, "block", RefusalState.BLOCKING, id="the last blocks the lane"),
        pytest.param(5, 5, "skip_record", RefusalState.SKIPPED, id="the last skips the record"),
        pytest.param(1, 1, "park_entity", RefusalState.PARKED, id="the only attempt"),
        pytest.param(
            7, 3, "park_entity", RefusalState.PARKED, id="more than allowed after the limit was lowered"
        ),
    ],
)
def test_the_number_of_refusals_and_the_policy_give_the_state(
    attempts: int, most: int, policy: Policy, state: RefusalState
) -> None:
    assert state_after(attempts, most=most, policy=policy) is state


@pytest.mark.parametrize("policy", get_args(Policy))
def test_no_policy_retries_after_the_last_attempt(policy: Policy) -> None:
    assert state_after(2, most=2, policy=policy) is not RefusalState.RETRYING


def test_stored_states_fit_their_column() -> None:
    assert sorted(RefusalState) == ["blocking", "failed", "parked", "replayed", "skipped", "trying"]
    assert max(len(state) for state in RefusalState) <= 8
