"""The counts of a report add up, or ConservationError is raised."""

from __future__ import annotations

import pytest

from workmesh_flows.domain.reports import SHOWN, AssignReport, PullReport, PushReport, Tally
from workmesh_flows.errors import ConservationError


@pytest.mark.parametrize(
    ("report", "text"),
    [
        pytest.param(PushReport("order", "n1"), "order to n1: pushed 0 of 0", id="push of nothing"),
        pytest.param(PushReport("order", "n1", 12_000, 12_000), "order to n1: pushed 12,000 of 12,000", id="push"),
        pytest.param(
            PushReport("order", "n1", 20_000, 12_000, 1_000, 10, 6_990, 500),
            "order to n1: pushed 12,000 of 20,000, 1,000 refused, 10 parked, 6,990 waiting, 500 not reached",
            id="push with refusals",
        ),
        pytest.param(PushReport("order", "n1", 2, 1, 1), "order to n1: pushed 1 of 2, 1 refused", id="one refused"),
        pytest.param(PushReport("order", "n1", 5, 2, 0, 0, 3), "order to n1: pushed 2 of 5, 3 waiting", id="stopped"),
        pytest.param(PullReport("order", "n1"), "order from n1: pulled 0 of 0", id="pull of nothing"),
        pytest.param(
            PullReport("order", "n1", 20_000, 12_000, 1_000, 7_000),
            "order from n1: pulled 12,000 of 20,000, 1,000 failed, 7,000 in flight",
            id="pull with failures",
        ),
        pytest.param(
            PullReport("order", "n1", note="it has processed nothing yet"),
            "order from n1: pulled 0 of 0 (it has processed nothing yet)",
            id="pull with a note",
        ),
        pytest.param(AssignReport("s"), "assigned 0 entities", id="nothing assigned"),
        pytest.param(
            AssignReport("s", {"b": 1, "a": 2_000}), "assigned 2,001 entities (a 2,000, b 1)", id="assigned"
        ),
        pytest.param(
            AssignReport("s", {"a": 5}, 3, [("7", "every node is full")] * 2),
            "assigned 5 entities (a 5); 3 could not be assigned: every node is full",
            id="some not assigned",
        ),
        pytest.param(
            AssignReport("s", {"a": 5}, 3, [("7", "every node is full"), ("8", "...")]),
            "assigned 5 entities (a 5); 3 could not be assigned, for example 7: every node is full",
            id="some not assigned for several reasons",
        ),
        pytest.param(
            AssignReport("s", {}, 3), "assigned 0 entities; 3 could not be assigned", id="some not assigned without a reason"
        ),
    ],
)  # fmt: skip
def test_the_text_of_a_report_is_one_line(report: object, text: str) -> None:
    assert str(report) == text


@pytest.mark.parametrize("counts", [(0, 0, 0, 0, 0), (10, 10, 0, 0, 0), (10, 4, 3, 1, 2)])
def test_counts_that_add_up_pass_the_check(counts: tuple[int, int, int, int, int]) -> None:
    Tally(*counts).check("s/order/n1")


@pytest.mark.parametrize(
    "counts", [(10, 9, 0, 0, 0), (10, 5, 3, 0, 1), (10, 11, 0, 0, 0), (0, 0, 0, 0, 1), (2, 0, 0, 1, 0)]
)
def test_counts_that_do_not_add_up_raise_conservation_error(counts: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(ConservationError, match="please report this as a bug"):
        Tally(*counts).check("s/order/n1")


def test_conservation_error_shows_all_counts() -> None:
    with pytest.raises(ConservationError) as caught:
        Tally(selected=10, succeeded=5, failed=3, undecided=1).check("s/order/n1")
    assert str(caught.value) == (
        "lane s/order/n1: 10 records were selected, but 5 succeeded + 3 failed + 0 parked + 1 undecided make 9; "
        "please report this as a bug"
    )


def test_all_refusals_are_counted_and_the_first_reasons_are_kept() -> None:
    tally = Tally()
    for start in range(0, 60, 6):
        tally.add_failed({number: f"reason {number}" for number in range(start, start + 6)})
    assert tally.failed == 60
    assert tally.reasons == {str(number): f"reason {number}" for number in range(SHOWN)}


def test_undecided_records_are_counted_when_the_lane_stops() -> None:
    tally = Tally(selected=10, succeeded=4, failed=1)
    assert tally.decided == 5
    tally.stop()
    assert tally.undecided == 5
    tally.check("s/order/n1")
