"""The checks of a play: after a kill, and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from tests.reliability.mail_mesh import MAX_ATTEMPTS, SERVICE, Delivery, Open, mesh
from tests.reliability.sweep_situation import (
    BAD,
    BEHIND,
    DELIVERED,
    DROPPED_OPEN,
    FAILED,
    FIXED_BY_NODE,
    IMPOSSIBLE,
    OF_RETURNED,
    OPENED,
    RETURNED_IDS,
    SKIPPED_OPEN,
    TIMES_LOST,
    TOO_MUCH,
)
from tests.reliability.sweep_stage import LATER_EPOCH, Play
from workmesh_flows.adapters.store.open_counts import count_open, read_open
from workmesh_flows.adapters.store.schema import counts, former_pushes, lanes, parked, replays
from workmesh_flows.operations.counts import correct_counts, count_records
from workmesh_flows.testing import (
    RequestOutcome,
    RequestSent,
    check_history,
    read_history,
    record_arrivals,
    record_state,
)


def flagged(play: Play) -> set[tuple[str, int]]:
    """Protocol and id of all records that are flagged as pushed."""
    with Session(play.engine) as session:
        deliveries = session.scalars(select(Delivery.id).where(Delivery.push_success.is_(True)))
        opens = session.scalars(select(Open.id).where(Open.push_success.is_(True)))
        return {("delivery", number) for number in deliveries} | {("open", number) for number in opens}


def arrived(play: Play) -> set[tuple[str, int]]:
    """Protocol and id of all records at the node."""
    return {(arrival.protocol, int(arrival.id)) for arrival in play.node.arrivals()}


def check_after_kill(play: Play, point: str, which: str) -> None:
    """Every flagged record has arrived; and two failpoints of a request mean what their names say."""
    at_node = arrived(play)
    assert flagged(play) <= at_node
    not_flagged = {(kind, number) for kind, number in at_node - flagged(play) if number > OF_RETURNED}
    if (point, which) == ("push delivery: push request, half sent", "first"):
        assert not not_flagged, "the node got the request"
    if (point, which) == ("push delivery: push request, answered", "last"):
        last = max(play.node.arrivals(), key=lambda arrival: arrival.seq)
        assert (last.protocol, last.id) == ("delivery", IMPOSSIBLE), (
            "the node did not get the replayed record"
        )


def check_at_end(play: Play, *, killed: int) -> None:
    """The history is clean, and the records and all Workmesh tables have their expected contents."""
    play.proxy.close()
    record_arrivals(play.history, play.node.name, play.node.database, service=SERVICE)
    record_state(play.history, play.engine, mesh)
    verdict = check_history(read_history(play.history.path), settled=True)
    assert verdict.clean, verdict
    _check_records(play)
    _check_replays(play)
    _check_lanes(play)
    _check_counts(play)
    _check_refusals(play, killed)


def _check_records(play: Play) -> None:
    with Session(play.engine) as session:
        deliveries = session.scalars(select(Delivery).order_by(Delivery.id)).all()
        opens = session.scalars(select(Open).order_by(Open.id)).all()
    assert [one.id for one in deliveries if one.push_success] == DELIVERED
    assert {one.id: one.push_success for one in deliveries if not one.push_success} == {
        number: False if number == BAD else None for number in BEHIND
    }
    assert [one.id for one in opens if one.push_success] == OPENED
    arrivals = Counter((arrival.protocol, arrival.id) for arrival in play.node.arrivals())
    assert arrivals == Counter([*(("delivery", n) for n in DELIVERED), *(("open", n) for n in OPENED)])
    for one in deliveries:
        expected = None if one.id in BEHIND else one.id != TOO_MUCH
        assert (one.id, one.pull_success) == (one.id, expected)
        assert (one.id, one.score) == (one.id, 10 * one.id if expected else None)
        assert (one.pull_error is None) == (expected is not False)


def _check_replays(play: Play) -> None:
    """The node has processed each record once, and those that it failed on once more, with one new key each."""
    once = Counter(arrived(play) - {("delivery", number) for number in RETURNED_IDS})
    assert play.processed() == once + Counter(FIXED_BY_NODE)
    for protocol, number in FAILED:
        before, after = (play.faults.keys[protocol, number, fixed] for fixed in (False, True))
        assert len(after) == 1, f"{protocol} {number}"
        assert before, f"{protocol} {number}"
        assert not before & after, f"{protocol} {number}"
    assert not _rows(play, replays)


def _check_lanes(play: Play) -> None:
    found = {(row.protocol, row.direction): row for row in _rows(play, lanes) if row.node == "n1"}
    for row in found.values():
        assert (row.holder, row.lease_until, row.retry_at) == (None, None, None)
        assert (row.breaker, row.failures) == ("closed", 0)
    again = Counter(protocol for protocol, _ in FAILED)
    assert found["delivery", "push"].done == len(DELIVERED) + OF_RETURNED + again["delivery"], (
        "the records of the returned account and the replayed ones count twice"
    )
    assert found["delivery", "push"].refused == MAX_ATTEMPTS + 1
    assert found["delivery", "pull"].done == len(DELIVERED) - 1, "one fails again"
    assert found["open", "push"].done == len(OPENED) + again["open"]
    assert found["open", "push"].refused - MAX_ATTEMPTS in {0, 1}, (
        "one refusal is of a record whose request was interrupted, unless the master was killed"
    )
    assert found["open", "push"].epoch > LATER_EPOCH
    assert not _rows(play, former_pushes)


def _check_counts(play: Play) -> None:
    """Counters and corrections are the exact numbers, which an exact count confirms; the open records are saved."""
    (service,) = mesh.services
    replayed = sum(protocol == "open" for protocol, _ in FAILED)
    assert {row.protocol: row.correction for row in _rows(play, counts)} == {"delivery": 0, "open": -replayed}
    found = Counter[str]()
    for count in count_records(play.engine, [service]):
        found[count.protocol] += count.processed
    assert found == {"delivery": len(DELIVERED) - 1, "open": len(OPENED)}
    assert correct_counts(play.engine, [service]) == []
    assert read_open(play.engine, service) == count_open(play.engine, service)


def _check_refusals(play: Play, killed: int) -> None:
    """A kill between a refusal and its flag, or before the node accepts another record, may cost attempts, never save one.

    So may a run that ends because its node is lost.
    """
    found = {(row.protocol, int(row.record)): (row.state, row.attempts) for row in _rows(play, parked)}
    refused_records = {
        ("delivery", BAD): ("parked", MAX_ATTEMPTS),
        ("open", SKIPPED_OPEN): ("skipped", MAX_ATTEMPTS),
    }
    failed = {record for record, (state, _) in found.items() if state == "failed"}
    assert failed == FAILED - FIXED_BY_NODE
    assert {record: found[record] for record in found.keys() - failed} == refused_records
    attempts = Counter(_sent_alone(play))
    for refused in refused_records:
        assert MAX_ATTEMPTS <= attempts[refused] <= MAX_ATTEMPTS + TIMES_LOST[refused[0]] + 2 * killed
    assert attempts["open", DROPPED_OPEN] <= 2 * TIMES_LOST["open"] + 1 + 2 * killed, (
        "each loss costs two requests"
    )


def _sent_alone(play: Play) -> Iterator[tuple[str, int]]:
    """Records that the node got in a request of their own."""
    for event in read_history(play.history.path):
        match event:
            case RequestSent(direction="push", ids=(alone,)) if event.outcome is not RequestOutcome.WITHHELD:
                yield str(event.protocol), int(alone)


def _rows(play: Play, table: Any) -> list[Row[Any]]:
    with play.engine.connect() as connection:
        return list(connection.execute(select(table)).all())
