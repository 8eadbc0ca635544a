"""Ordering: a node accepts the records of one owner in the order of (sort, id).

A record may be accepted after a later one of its owner in three cases only:

* it was written late: its transaction committed after the start of the run that sent the later record. A run starts
  with its ping; where no ping was recorded, with its first request, else with its first acceptance;
* it was parked or skipped, and was replayed after the start of that run;
* its owner was moved, or its data was sent again, between the two acceptances: a move restarts the order.

The order is the database's own (``place``) where every record of the protocol has a place, else that of sort and id:
numbers by value, texts by code point, null first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from workmesh_flows.domain.lane import Lane
from workmesh_flows.testing.history.events import RecordAccepted, Sort
from workmesh_flows.testing.history.index import HistoryIndex, KnownRecord
from workmesh_flows.testing.history.verdict import Guarantee, Violation

SortKey = Callable[[KnownRecord], Any]


class _Arrival(NamedTuple):
    key: Any
    record: KnownRecord
    accepted: RecordAccepted
    run_start: float
    """The start of the run that sent the record."""


def find_records_out_of_order(index: HistoryIndex) -> Iterator[Violation]:
    """Yield every record that was accepted too late, each with a record that should have come after it."""
    for lane, acceptances in index.accepted.items():
        sort_key, run_starts = _sort_key(index, lane), _run_starts(index, lane)
        by_owner = defaultdict[tuple[str, int], list[_Arrival]](list)
        for accepted in acceptances:
            record = index.record_of(lane, accepted.id)
            if record.owner is None:
                continue
            moves = index.moves_of(lane.service, record.owner)
            moves_before = bisect_right(moves, accepted.time) if moves else 0
            by_owner[str(record.owner), moves_before].append(
                _Arrival(sort_key(record), record, accepted, run_starts[accepted.epoch])
            )
        for arrivals in by_owner.values():
            yield from _late_arrivals(lane, arrivals)


def _late_arrivals(lane: Lane, arrivals: Sequence[_Arrival]) -> Iterator[Violation]:
    # A monotonic stack of the arrivals so far that no later one exceeds: positions rise, keys fall.
    positions, largest = list[int](), list[_Arrival]()
    run_starts, latest_start = list[float](), float("-inf")
    for position, arrival in enumerate(arrivals):
        if largest and arrival.key < largest[0].key:
            # Compare only with arrivals of runs that started when this record was already visible.
            at = bisect_left(positions, bisect_left(run_starts, arrival.record.visible))
            if at < len(largest) and arrival.key < largest[at].key:
                yield _violation(lane, late=arrival, early=largest[at])
        latest_start = max(latest_start, arrival.run_start)
        run_starts.append(latest_start)
        while largest and largest[-1].key <= arrival.key:
            largest.pop()
            positions.pop()
        largest.append(arrival)
        positions.append(position)


def _violation(lane: Lane, late: _Arrival, early: _Arrival) -> Violation:
    sentence = (
        f"record {late.accepted.id} of owner {late.record.owner} was accepted (seq {late.accepted.seq}) after record "
        f"{early.accepted.id} (seq {early.accepted.seq}), which comes after it in the order"
    )
    return Violation.on_lane(Guarantee.ORDERING, lane, (late.accepted.id, early.accepted.id), sentence)


def _run_starts(index: HistoryIndex, lane: Lane) -> dict[int | None, float]:
    """The start of the run of each epoch."""
    starts: dict[int | None, float] = {}
    for accepted in index.accepted[lane]:
        starts[accepted.epoch] = min(accepted.time, starts.get(accepted.epoch, accepted.time))
    for request in index.requests.get(lane, ()):
        starts[request.epoch] = min(request.start, starts.get(request.epoch, request.start))
    return {epoch: index.ping_before(lane, epoch, first) for epoch, first in starts.items()}


def _sort_key(index: HistoryIndex, lane: Lane) -> SortKey:
    records = [index.record_of(lane, accepted.id) for accepted in index.accepted[lane]]
    if all(record.state is not None for record in records if record.owner is not None):
        return lambda record: -1 if record.state is None else record.state.place
    return _by_sort_and_id


def _by_sort_and_id(record: KnownRecord) -> tuple[Any, ...]:
    exists = record.exists
    return (*_comparable(None if exists is None else exists.sort), *_comparable(record.id))


def _comparable(value: Sort) -> tuple[int, Any]:
    match value:
        case None:
            return 0, 0
        case str():
            return 2, value
        case _:
            return 1, value
