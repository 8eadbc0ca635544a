"""Push times: within a lane they strictly increase in the order in which the node confirmed the records.

The last request that held a record and was answered with success confirms it: a record whose answer was lost is sent
again, and flagged then. Where no request was recorded, records of one epoch are compared in the order of their
acceptance, which is exact as long as no answer was lost. Records whose owner was moved, or whose data was sent again,
after their acceptance are left out: they have a later push time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from workmesh_flows.domain.lane import Lane
from workmesh_flows.testing.history.events import RecordAccepted, RequestOutcome
from workmesh_flows.testing.history.index import HistoryIndex, KnownRecord
from workmesh_flows.testing.history.verdict import Guarantee, Violation


def find_falling_push_times(index: HistoryIndex) -> Iterator[Violation]:
    """Yield every record whose push time is not after that of the record before it."""
    for lane in index.accepted:
        for records in _confirmed_records(index, lane):
            for earlier, later in pairwise(records):
                yield from _violations(lane, earlier, later)


def _violations(lane: Lane, earlier: KnownRecord, later: KnownRecord) -> Iterator[Violation]:
    first, second = _push_time(earlier), _push_time(later)
    if first is not None and second is not None and second <= first:
        sentence = f"record {later.id} was confirmed after record {earlier.id}, but its push time is " + (
            "the same" if second == first else f"{first - second:.6f} s earlier"
        )
        yield Violation.on_lane(Guarantee.PUSH_TIMES, lane, (earlier.id, later.id), sentence)


def _confirmed_records(index: HistoryIndex, lane: Lane) -> Iterator[list[KnownRecord]]:
    """Groups of records with a push time, each in the order of confirmation."""
    records = {
        str(accepted.id): record
        for accepted in index.accepted[lane]
        if _is_comparable(index, lane, accepted, record := index.record_of(lane, accepted.id))
    }
    confirmed: dict[str, KnownRecord] = {}
    requests = index.requests.get(lane, ())
    for request in sorted(requests, key=lambda request: request.end):
        if request.outcome is RequestOutcome.ACCEPTED:
            for key in map(str, request.ids):
                if key in records:
                    confirmed.pop(key, None)  # the last confirmation counts
                    confirmed[key] = records[key]
    if requests:
        yield list(confirmed.values())
        return
    by_epoch = defaultdict[int | None, list[KnownRecord]](list)
    for accepted in index.accepted[lane]:
        if str(accepted.id) in records:
            by_epoch[accepted.epoch].append(records.pop(str(accepted.id)))
    yield from by_epoch.values()


def _is_comparable(index: HistoryIndex, lane: Lane, accepted: RecordAccepted, record: KnownRecord) -> bool:
    moves = index.moves_of(lane.service, record.owner)
    return _push_time(record) is not None and not (moves and moves[-1] >= accepted.time)


def _push_time(record: KnownRecord) -> float | None:
    return record.state.push_time if record.state is not None and record.state.push_success else None
