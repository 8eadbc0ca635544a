"""Push times of a lane strictly increase, even if the clock is set back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workmesh_flows.planning.push_times import push_times

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def after(microseconds: int) -> datetime:
    return NOON + timedelta(microseconds=microseconds)


@pytest.mark.parametrize(
    ("now", "last", "count", "times"),
    [
        pytest.param(NOON, None, 0, [], id="none"),
        pytest.param(NOON, None, 1, [NOON], id="the first push of the lane"),
        pytest.param(NOON, None, 3, [NOON, after(1), after(2)], id="a microsecond apart"),
        pytest.param(after(9), NOON, 2, [after(9), after(10)], id="from now on"),
        pytest.param(NOON, NOON, 2, [after(1), after(2)], id="the clock stopped"),
        pytest.param(after(-5), NOON, 2, [after(1), after(2)], id="the clock was set back"),
        pytest.param(after(2), after(499), 1, [after(500)], id="the last push time is in the future"),
        pytest.param(after(1), NOON, 1, [after(1)], id="one microsecond later"),
    ],
)
def test_push_times_of_a_batch(
    now: datetime, last: datetime | None, count: int, times: list[datetime]
) -> None:
    assert push_times(now, last, count) == times


@given(st.lists(st.tuples(st.integers(-2_000, 2_000), st.integers(0, 5)), max_size=20))
def test_push_times_increase_over_batches_while_the_clock_jumps(batches: list[tuple[int, int]]) -> None:
    clock, times = NOON, list[datetime]()
    for jump, count in batches:
        clock += timedelta(microseconds=jump)
        written = push_times(clock, times[-1] if times else None, count)
        assert len(written) == count
        assert all(time >= clock for time in written)
        times += written
    assert all(earlier < later for earlier, later in pairwise(times))
