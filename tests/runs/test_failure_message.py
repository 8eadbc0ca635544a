"""The message of a failed run advises only what helps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.runs.failure_message import failure_message
from workmesh_flows.runs.result import LaneResult, RunResult

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def stopped(
    direction: Direction = "push", pause: int | None = None, *, asked: bool = False, node: str = "n1"
) -> LaneResult:
    """A lane that stopped, and is paused for so many minutes after noon."""
    until = None if pause is None else NOON + timedelta(minutes=pause)
    return LaneResult(
        Lane("shop", "order", node, direction), "stopped", reason="it is so.", until=until, asked=asked
    )


def message(*lanes: LaneResult, now: bool = False) -> str:
    return failure_message(RunResult("did a lot", lanes, now=now))


def test_the_message_lists_the_lanes_and_what_is_kept() -> None:
    behind = LaneResult(
        Lane("shop", "line", "n1", "push"), "behind", reason="skipped: order, which precedes it, is stopped"
    )
    done = LaneResult(Lane("shop", "order", "n2", "pull"), "done")
    assert message(stopped(), behind, done) == (
        "1 lane failed, 1 skipped:\n"
        "  push of order, node n1: it is so.\n"
        "  push of line, node n1: skipped: order, which precedes it, is stopped.\n"
        "Total: did a lot. Nothing is lost: records that were not sent stay pending. Fix the cause, then rerun."
    )
    assert "lost: results that were not pulled stay at the node. Fix" in message(stopped("pull"), done)
    assert (
        "lost: records that were not sent stay pending, results that were not pulled stay at the node."
        in (message(stopped("pull"), stopped("push")))
    )


LATER = "a later run continues by itself."
BACK_OFF = "rerun with --now to skip the back-off."


@pytest.mark.parametrize(
    ("lanes", "now", "end"),
    [
        pytest.param([stopped()], True, "Fix the cause, then rerun.", id="no pause, with --now"),
        pytest.param(
            [stopped(pause=1, asked=True)],
            False,
            f"The lane is paused until 2026-06-01 12:01:00 UTC; {LATER}",
            id="a pause that the node asked for",
        ),
        pytest.param(
            [stopped(pause=1, asked=True), stopped(pause=2, node="n2")],
            False,
            f"The lanes are paused until 2026-06-01 12:02:00 UTC; {LATER}",
            id="two pauses, one of which the node asked for",
        ),
        pytest.param(
            [stopped(pause=2), stopped(pause=1, node="n2")],
            False,
            f"The lanes are paused until 2026-06-01 12:02:00 UTC; {LATER} If you fix the cause before, {BACK_OFF}",
            id="two back-offs",
        ),
        pytest.param(
            [stopped(pause=2)],
            True,
            f"The lane is paused until 2026-06-01 12:02:00 UTC; {LATER}",
            id="a back-off, with --now",
        ),
        pytest.param(
            [stopped(), stopped(pause=1, node="n2")],
            False,
            f"Fix the cause, {BACK_OFF}",
            id="a lane without a pause and a back-off",
        ),
        pytest.param(
            [stopped(), stopped(pause=1, node="n2", asked=True)],
            False,
            "Fix the cause, then rerun.",
            id="a lane without a pause and a pause that the node asked for",
        ),
    ],
)
def test_nobody_is_advised_to_end_a_pause_that_a_node_asked_for_nor_to_repeat_now(
    lanes: list[LaneResult], now: bool, end: str
) -> None:
    assert message(*lanes, now=now).partition("stay pending. ")[2] == end
