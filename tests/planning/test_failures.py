from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workmesh_flows.planning.failures import is_settled

PUSH = datetime(2026, 11, 1, tzinfo=UTC)


def after(**time: float) -> datetime:
    return PUSH + timedelta(**time)


@pytest.mark.parametrize(
    ("began", "workload", "seen_at", "settled"),
    [
        pytest.param(after(seconds=9), 0, after(seconds=5), True, id="an empty queue after the push"),
        pytest.param(after(seconds=9), 1, after(seconds=5), False, id="a queue"),
        pytest.param(after(seconds=9), 0, after(seconds=-5), False, id="an empty queue before the push"),
        pytest.param(after(seconds=9), 0, after(seconds=0.5), False, id="too close for two clocks"),
        pytest.param(
            after(seconds=9), 0, after(seconds=20), False, id="an empty queue after the reading began"
        ),
        pytest.param(after(hours=23), None, after(hours=22), False, id="no workload, within a day"),
        pytest.param(after(hours=24), None, after(hours=23), True, id="no workload, after a day"),
        pytest.param(after(hours=24), None, None, True, id="never probed, after a day"),
        pytest.param(after(hours=48), 1, after(hours=47), False, id="a queue for days"),
    ],
)
def test_failures_are_settled_once_the_node_can_list_no_more(
    began: datetime, workload: int | None, seen_at: datetime | None, settled: bool
) -> None:
    assert is_settled(PUSH, began, workload=workload, seen_at=seen_at) is settled
