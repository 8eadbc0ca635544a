"""Hand-made histories: some break a guarantee, others only look as if they did."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.testing.history.event_makers import (
    accepted,
    deleted,
    moved,
    ping,
    record,
    replayed,
    report,
    sent,
    state,
)
from workmesh_flows.testing import ArrivalsRead, Event, Guarantee, RequestOutcome, check_history

BOTH = [record(1), record(2)]
LATE = [record(1, written=5.5), record(2)]
LOST, WITHHELD = RequestOutcome.LOST, RequestOutcome.WITHHELD


@pytest.mark.parametrize(
    ("events", "guarantee", "ids", "words"),
    [
        pytest.param(
            [*BOTH, accepted(2, 1), accepted(1, 2)],
            Guarantee.ORDERING,
            (1, 2),
            "after record 2 (seq 1)",
            id="out of order",
        ),
        pytest.param(
            [record(1, sort="b"), record(2, sort="a"), accepted(1, 1), accepted(2, 2)],
            Guarantee.ORDERING,
            (2, 1),
            "comes after it in the order",
            id="out of order by sort, in order by id",
        ),
        pytest.param(
            [record(9, sort=None), record(10, sort=None), accepted(10, 1), accepted(9, 2)],
            Guarantee.ORDERING,
            (9, 10),
            "comes after it in the order",
            id="numbers are compared as numbers",
        ),
        pytest.param(
            [state(1, place=2), state(2, place=1), accepted(1, 1), accepted(2, 2)],
            Guarantee.ORDERING,
            (2, 1),
            "comes after it in the order",
            id="out of the database's own order",
        ),
        pytest.param(
            [*LATE, accepted(2, 1, time=6, epoch=1), accepted(1, 2, time=7), ping(1, 5.6)],
            Guarantee.ORDERING,
            (1, 2),
            "comes after it in the order",
            id="written before the run began",
        ),
        pytest.param(
            [*BOTH, accepted(2, 1), accepted(1, 2), record(1, written=1.5)],
            Guarantee.ORDERING,
            (1, 2),
            "comes after it in the order",
            id="recorded again later, which does not make it late",
        ),
        pytest.param(
            [
                record(1, written=5.5),
                record(2, written=5.5),
                record(3),
                accepted(3, 1, time=5),
                accepted(2, 2, time=6, epoch=2),
                accepted(1, 3, time=7, epoch=2),
            ],
            Guarantee.ORDERING,
            (1, 2),
            "comes after it in the order",
            id="late for one run, in time for the next",
        ),
        pytest.param(
            [*BOTH, moved(0.5), accepted(2, 1), accepted(1, 2), moved(3)],
            Guarantee.ORDERING,
            (1, 2),
            "comes after it in the order",
            id="moved before and after, but not in between",
        ),
        pytest.param(
            [record(1), record(2), state(2), accepted(2, 1)], Guarantee.LOSS, (1,), "is gone", id="gone"
        ),
        pytest.param(
            [state(1)], Guarantee.LOSS, (1,), "but no node accepted it", id="flagged, but at no node"
        ),
        pytest.param(
            [state(1, node="n2", pulls=True), accepted(1, 1)],
            Guarantee.LOSS,
            (1,),
            "pushed to n2, but only n1",
            id="flagged for a node that never accepted it",
        ),
        pytest.param(
            [state(1), ArrivalsRead(service="leads", node="n1", records=0), sent(1, [1], 0, 1)],
            Guarantee.LOSS,
            (1,),
            "no node accepted it",
            id="answered with success, but not in the arrival log",
        ),
        pytest.param(
            [record(1), accepted(1, 1), accepted(1, 2)],
            Guarantee.DUPLICATES,
            (1,),
            "by n1 again (seq 1 and 2)",
            id="accepted twice",
        ),
        pytest.param(
            [record(1), accepted(1, 1), accepted(1, 1, time=2, node="n2")],
            Guarantee.DUPLICATES,
            (1,),
            "by n1 and by n2",
            id="accepted by two nodes without a move",
        ),
        pytest.param(
            [sent(1, [1], 0, 2), sent(2, [2], 1, 3)],
            Guarantee.SINGLE_SENDER,
            (2,),
            "both of epoch 1",
            id="two overlapping requests",
        ),
        pytest.param(
            [sent(1, [1], 0, 9), sent(2, [2], 1, 2, outcome=WITHHELD, epoch=2)],
            Guarantee.SINGLE_SENDER,
            (2,),
            "of epochs 1 and 2",
            id="two concurrent senders",
        ),
        pytest.param(
            [sent(1, [1], 0, 1, epoch=2), sent(2, [2], 2, 3, outcome=LOST)],
            Guarantee.SINGLE_SENDER,
            (2,),
            "push request 2 of epoch 1 was sent to the node after request 1 of epoch 2",
            id="a replaced sender that resumes",
        ),
        pytest.param(
            [*BOTH, accepted(1, 1, epoch=2), accepted(2, 2, epoch=1)],
            Guarantee.SINGLE_SENDER,
            (2,),
            "under epoch 1, after records of epoch 2",
            id="a record accepted from a replaced sender",
        ),
        pytest.param(
            [report(selected=5, pushed=2, refused=1, parked=1, waiting=0)],
            Guarantee.TOTALS,
            (),
            "selected 5, but reports 2 pushed + 1 refused + 1 parked + 0 waiting",
            id="a push report that does not add up",
        ),
        pytest.param(
            [report(direction="pull", selected=2, pulled=2, failed=1)],
            Guarantee.TOTALS,
            (),
            "1 failed",
            id="a pull report that does not add up",
        ),
        pytest.param(
            [report(selected=2, pushed=3, waiting=-1)],
            Guarantee.TOTALS,
            (),
            "-1 waiting",
            id="a negative count",
        ),
        pytest.param(
            [state(1, push_time=2.0), state(2, push_time=2.0), accepted(1, 1), accepted(2, 2)],
            Guarantee.PUSH_TIMES,
            (1, 2),
            "the same",
            id="equal push times",
        ),
        pytest.param(
            [state(1, owner=7, push_time=2.5), state(2, push_time=2.0), accepted(1, 1), accepted(2, 2)],
            Guarantee.PUSH_TIMES,
            (1, 2),
            "0.500000 s earlier",
            id="a falling push time",
        ),
        pytest.param(
            [state(1, push_time=2.5), state(2, owner=7, push_time=2.0), sent(1, [1, 2], 0, 1)],
            Guarantee.PUSH_TIMES,
            (1, 2),
            "0.500000 s earlier",
            id="a falling push time, in the order of the requests",
        ),
    ],
)
def test_a_broken_guarantee_is_reported_in_a_sentence(
    events: Sequence[Event], guarantee: Guarantee, ids: tuple[int, ...], words: str
) -> None:
    verdict = check_history(events)
    (violation,) = verdict.violations
    assert (violation.guarantee, violation.ids) == (guarantee, ids)
    assert words in violation.sentence
    assert f"{guarantee}: leads/lead" in str(verdict)
    assert verdict.counts[guarantee] == 1


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="no event"),
        pytest.param([*BOTH, accepted(1, 1), accepted(2, 2), state(1), state(2)], id="in order"),
        pytest.param(
            [record(1), record(2, owner=2), accepted(2, 1), accepted(1, 2)], id="records of two owners"
        ),
        pytest.param(
            [*LATE, accepted(2, 1, time=5), accepted(1, 2, time=6)], id="written after the acceptance"
        ),
        pytest.param(
            [*LATE, ping(1, 5.4), accepted(2, 1, time=6), accepted(1, 2, time=7, epoch=2)],
            id="written during the run",
        ),
        pytest.param([*BOTH, record(3, written=9.0), record(3, written=8.0)], id="recorded again"),
        pytest.param(
            [*BOTH, accepted(2, 1), replayed(1, 1.5), accepted(1, 2, epoch=2)],
            id="skipped, and replayed later",
        ),
        pytest.param([*BOTH, accepted(2, 1), moved(1.5), accepted(1, 2)], id="moved in between"),
        pytest.param(
            [*BOTH, accepted(2, 1), moved(1.5, target="n1"), accepted(1, 2)], id="sent again in between"
        ),
        pytest.param([record(1), accepted(1, 1), accepted(1, 1)], id="a log that was read twice"),
        pytest.param(
            [record(1), accepted(1, 1), moved(1.5), accepted(1, 1, time=2, node="n2")],
            id="moved to another node",
        ),
        pytest.param([record(1), deleted(1), record(2), state(2), accepted(2, 1)], id="deleted by the test"),
        pytest.param(
            [state(1, node="n2", pulls=True, pull_success=True), accepted(1, 1)], id="pulled, then moved"
        ),
        pytest.param([state(1, node="n2"), accepted(1, 1)], id="pushed without pull, then moved"),
        pytest.param([state(1), sent(1, [1], 0, 1)], id="success from a node without an arrival log"),
        pytest.param(
            [state(1), sent(1, [1], 0, 1), sent(2, [1], 2, 3, epoch=2)],
            id="sent twice to a node without an arrival log",
        ),
        pytest.param(
            [sent(1, [1], 0, 1), sent(2, [2], 1, 2), sent(3, [1], 0, 9, direction="pull")],
            id="one request after the other",
        ),
        pytest.param([sent(1, [1], 0, 2), sent(2, [2], 1, 3, node="n2")], id="two lanes at the same time"),
        pytest.param(
            [sent(1, [1], 0, 2, epoch=2), sent(2, [2], 1, 3, outcome=RequestOutcome.ANSWERED, code=412)],
            id="a replaced sender that was rejected with 412",
        ),
        pytest.param(
            [sent(1, [1], 0, 1, epoch=2), sent(2, [2], 2, 3, outcome=RequestOutcome.ANSWERED)],
            id="a replaced sender whose records were refused",
        ),
        pytest.param(
            [sent(1, [1], 0, 2, epoch=None), sent(2, [2], 1, 3, epoch=None)], id="requests without a lane"
        ),
        pytest.param(
            [
                sent(1, [1], 0, 1, epoch=2, direction="pull"),
                sent(2, [1], 2, 3, outcome=LOST, direction="pull"),
            ],
            id="results pulled by a replaced sender",
        ),
        pytest.param(
            [
                report(selected=4, pushed=1, refused=1, parked=1, waiting=1),
                report(direction="pull", selected=1, in_flight=1),
            ],
            id="reports that add up",
        ),
        pytest.param(
            [
                *(state(1, push_time=6.0), state(2, push_time=7.0), state(3, owner=2, push_time=5.0)),
                *(accepted(1, 1, time=1), accepted(2, 2, time=1), accepted(3, 3, time=4, epoch=2)),
                *(sent(1, [1, 2], 0, 1, outcome=LOST), sent(2, [3, 1, 2], 3, 5, epoch=2)),
            ],
            id="push times after a lost answer",
        ),
        pytest.param(
            [state(1, push_time=9.0), state(2), accepted(1, 1), accepted(2, 2), moved(3, target="n1")],
            id="push times of records that were sent again",
        ),
    ],
)
def test_an_unusual_but_allowed_history_is_clean(events: Sequence[Event]) -> None:
    assert str(check_history(events)).endswith("records: clean")
    assert check_history(events).clean
