"""What becomes of a record after so many refusals."""

from __future__ import annotations

from typing import get_args

import pytest

from workmesh_flows.domain.protocol import Policy
from workmesh_flows.planning.refusals import RefusalState, state_after


@pytest.mark.parametrize(
    ("attempts", "most", "policy", "standing"),
    [
        pytest.param(1, 5, "park_entity", RefusalState.RETRYING, id="the first of five"),
        pytest.param(4, 5, "block", RefusalState.RETRYING, id="the last but one"),
        pytest.param(5, 5, "park_entity", RefusalState.PARKED, id="the last one parks"),
        pytest.param(5, 5, "block", RefusalState.BLOCKING, id="the last one blocks"),
        pytest.param(5, 5, "skip_record", RefusalState.SKIPPED, id="the last one is skipped"),
        pytest.param(1, 1, "park_entity", RefusalState.PARKED, id="the only one"),
        pytest.param(
            7, 3, "park_entity", RefusalState.PARKED, id="more than allowed: the number was lowered"
        ),
    ],
)
def test_a_refusal_leads_to_a_standing(
    attempts: int, most: int, policy: Policy, standing: RefusalState
) -> None:
    assert state_after(attempts, most=most, policy=policy) is standing


@pytest.mark.parametrize("policy", get_args(Policy))
def test_every_policy_sets_a_record_aside_in_the_end(policy: Policy) -> None:
    assert state_after(2, most=2, policy=policy) is not RefusalState.RETRYING


def test_standings_are_kept_as_words_that_fit_their_column() -> None:
    assert sorted(RefusalState) == ["blocking", "parked", "skipped", "trying"]
    assert max(len(standing) for standing in RefusalState) <= 8
