"""What becomes of a record after so many refusals."""

from __future__ import annotations

from typing import get_args

import pytest

from workmesh_flows.domain.protocol import Policy
from workmesh_flows.planning.refusals import Standing, standing_after


@pytest.mark.parametrize(
    ("attempts", "most", "policy", "standing"),
    [
        pytest.param(1, 5, "park_entity", Standing.TRYING, id="the first of five"),
        pytest.param(4, 5, "block", Standing.TRYING, id="the last but one"),
        pytest.param(5, 5, "park_entity", Standing.PARKED, id="the last one parks"),
        pytest.param(5, 5, "block", Standing.BLOCKING, id="the last one blocks"),
        pytest.param(5, 5, "skip_record", Standing.SKIPPED, id="the last one is skipped"),
        pytest.param(1, 1, "park_entity", Standing.PARKED, id="the only one"),
        pytest.param(7, 3, "park_entity", Standing.PARKED, id="more than allowed: the number was lowered"),
    ],
)
def test_a_refusal_leads_to_a_standing(attempts: int, most: int, policy: Policy, standing: Standing) -> None:
    assert standing_after(attempts, most=most, policy=policy) is standing


@pytest.mark.parametrize("policy", get_args(Policy))
def test_every_policy_sets_a_record_aside_in_the_end(policy: Policy) -> None:
    assert standing_after(2, most=2, policy=policy) is not Standing.TRYING


def test_standings_are_kept_as_words_that_fit_their_column() -> None:
    assert sorted(Standing) == ["blocking", "parked", "skipped", "trying"]
    assert max(len(standing) for standing in Standing) <= 8
