"""Checks of settled histories, the text of a verdict, and the duration of a check."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import pytest

from tests.testing.history.event_makers import accepted, pending, record, sent, state
from workmesh_flows.testing import Event, Guarantee, check_history


@pytest.mark.parametrize(
    ("events", "words"),
    [
        pytest.param([pending(1)], "it should have been pushed by now", id="pending"),
        pytest.param([pending(1, push_success=False)], "it should have been pushed by now", id="failed"),
        pytest.param([pending(1, node=None)], "its owner has no node", id="unassigned"),
        pytest.param([record(1)], "was accepted by no node", id="without a state"),
        pytest.param([pending(1, parked="parked")], None, id="parked"),
        pytest.param([pending(1, owner=None, node=None)], None, id="without an owner"),
        pytest.param([record(1, owner=None)], None, id="without an owner and a state"),
    ],
)
def test_a_settled_history_may_have_no_pending_record_but_parked_ones(
    events: Sequence[Event], words: str | None
) -> None:
    assert check_history(events).clean
    verdict = check_history(events, settled=True)
    assert [violation.guarantee for violation in verdict.violations] == [Guarantee.LOSS] * (words is not None)
    assert words is None or words in str(verdict)


def test_a_verdict_shows_twenty_sentences_and_the_number_of_the_rest() -> None:
    verdict = check_history([state(number) for number in range(25)])
    lines = str(verdict).splitlines()
    assert lines[0] == "25 events of 25 records: 25 violations"
    assert lines[1] == "loss: leads/lead/n1: record 0 is flagged as pushed, but no node accepted it"
    assert (len(lines), lines[-1]) == (22, "and 5 more")


def test_a_large_history_is_checked_in_seconds() -> None:
    """The worst case for ordering: all records are in reverse order and were written late."""
    count = 10_000
    events: list[Event] = []
    for number in range(count):
        events += [
            record(number, owner=number % 10, written=float(number)),
            accepted(number, count - number, time=float(2 * count - number)),
            state(number, owner=number % 10, push_time=float(count - number)),
            sent(number, [number], 2 * count - number, 2 * count - number + 0.5),
        ]
    began = perf_counter()
    verdict = check_history(events)
    assert perf_counter() - began < 5
    assert verdict.counts[Guarantee.ORDERING] == count - 10
    assert verdict.counts[Guarantee.PUSH_TIMES] == 0
