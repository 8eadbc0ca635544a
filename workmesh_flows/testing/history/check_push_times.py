"""Push times: within a lane they strictly increase in the order in which the node took the records.

A record counts as taken by the last request that held it and was answered with success: one whose answer was lost
is sent again, and flagged then. Where no request was recorded, records of one epoch are compared in the order of
their acceptance, which is exact as long as no answer was lost. Records whose owner was moved, or sent again, after
their acceptance are left out: their push time is a later one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from workmesh_flows.testing.history.events import RecordAccepted, RequestOutcome
from workmesh_flows.testing.history.index import HistoryIndex, KnownRecord, LaneOf
from workmesh_flows.testing.history.verdict import Promise, Violation


def push_time_violations(ledger: HistoryIndex) -> Iterator[Violation]:
    """Every record whose push time is not after that of the record before it."""
    for lane, accepted in ledger.accepted.items():
        for taken in _in_order(ledger, lane, accepted):
            for before, one in pairwise(taken):
                yield from _not_after(lane, before, one)


def _not_after(lane: LaneOf, before: KnownRecord, one: KnownRecord) -> Iterator[Violation]:
    first, second = _push_time(before), _push_time(one)
    if first is not None and second is not None and second <= first:
        sentence = f"record {one.id} was taken after record {before.id}, but its push time is " + (
            "the same" if second == first else f"{first - second:.6f} s earlier"
        )
        yield Violation(Promise.PUSH_TIMES, *lane, (before.id, one.id), sentence)


def _in_order(
    ledger: HistoryIndex, lane: LaneOf, accepted: Iterable[RecordAccepted]
) -> Iterator[list[KnownRecord]]:
    """Records of which each was taken after the one before it, those that tell their push time."""
    records = {
        str(one.id): known_records
        for one in accepted
        if _counts(ledger, lane, one, known_records := _of(ledger, lane, one))
    }
    taken: dict[str, KnownRecord] = {}
    requests = ledger.requests.get((lane, "push"), ())
    for request in sorted(requests, key=lambda request: request.end):
        if request.outcome is RequestOutcome.ACCEPTED:
            for text in map(str, request.ids):
                if text in records:
                    taken.pop(text, None)  # the last time counts
                    taken[text] = records[text]
    if requests:
        yield list(taken.values())
        return
    by_epoch = defaultdict[int | None, list[KnownRecord]](list)
    for one in accepted:
        if str(one.id) in records:
            by_epoch[one.epoch].append(records.pop(str(one.id)))
    yield from by_epoch.values()


def _of(ledger: HistoryIndex, lane: LaneOf, one: RecordAccepted) -> KnownRecord:
    return ledger.known_records(lane.stream, one.id)


def _counts(ledger: HistoryIndex, lane: LaneOf, one: RecordAccepted, known_records: KnownRecord) -> bool:
    moves = ledger.moves_of(lane.service, known_records.owner)
    return _push_time(known_records) is not None and not (moves and moves[-1] >= one.time)


def _push_time(known_records: KnownRecord) -> float | None:
    return (
        known_records.state.push_time
        if known_records.state is not None and known_records.state.push_success
        else None
    )
