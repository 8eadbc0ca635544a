"""Order: what a node accepts of an owner follows (sort, id).

A record may be accepted after one that comes behind it in three cases, and in no other:

* it was written late: its transaction ended after the run had begun that sent the other one. A run begins with its
  ping; where no ping was recorded, with its first request, else with its first acceptance;
* it was parked or skipped, and resumed after that run had begun;
* its owner was moved, or sent again, between the two: from a move on, order begins anew.

The order is the database's own (``place``) where each record of the protocol has one, else that of sort and id:
numbers by value, texts by code point, null before all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from workmesh_flows.testing.history.events import RecordAccepted, Sort
from workmesh_flows.testing.history.index import HistoryIndex, KnownRecord, LaneOf
from workmesh_flows.testing.history.verdict import Promise, Violation

Key = Callable[[KnownRecord], Any]


class _Arrived(NamedTuple):
    key: Any
    known_records: KnownRecord
    accepted: RecordAccepted
    began: float
    """When the run began that sent it."""


def order_violations(ledger: HistoryIndex) -> Iterator[Violation]:
    """Every record that was accepted too late, with one that it should have come before."""
    for lane, accepted in ledger.accepted.items():
        key, began = _order_of(ledger, lane), _beginnings(ledger, lane)
        by_owner = defaultdict[tuple[str, int], list[_Arrived]](list)
        for one in accepted:
            known_records = ledger.known_records(lane.stream, one.id)
            if known_records.owner is None:
                continue
            moves = ledger.moves_of(lane.service, known_records.owner)
            stage = bisect_right(moves, one.time) if moves else 0
            by_owner[str(known_records.owner), stage].append(
                _Arrived(key(known_records), known_records, one, began[one.epoch])
            )
        for arrived in by_owner.values():
            yield from _late(lane, arrived)


def _late(lane: LaneOf, arrived: Sequence[_Arrived]) -> Iterator[Violation]:
    # Of what was accepted so far, the largest behind each place: keys fall, places rise.
    places, largest = list[int](), list[_Arrived]()
    began, latest = list[float](), float("-inf")
    for place, one in enumerate(arrived):
        if largest and one.key < largest[0].key:
            # Only runs that began when the record could be seen already.
            at = bisect_left(places, bisect_left(began, one.known_records.visible))
            if at < len(largest) and one.key < largest[at].key:
                yield _violation(lane, one, largest[at])
        latest = max(latest, one.began)
        began.append(latest)
        while largest and largest[-1].key <= one.key:
            largest.pop()
            places.pop()
        largest.append(one)
        places.append(place)


def _violation(lane: LaneOf, late: _Arrived, early: _Arrived) -> Violation:
    sentence = (
        f"record {late.accepted.id} of owner {late.known_records.owner} was accepted (seq {late.accepted.seq}) after record "
        f"{early.accepted.id} (seq {early.accepted.seq}), which comes behind it"
    )
    return Violation(Promise.ORDER, *lane, (late.accepted.id, early.accepted.id), sentence)


def _beginnings(ledger: HistoryIndex, lane: LaneOf) -> dict[int | None, float]:
    """When the run of each epoch began."""
    began: dict[int | None, float] = {}
    for one in ledger.accepted[lane]:
        began[one.epoch] = min(one.time, began.get(one.epoch, one.time))
    for request in ledger.requests.get((lane, "push"), ()):
        began[request.epoch] = min(request.start, began.get(request.epoch, request.start))
    return {epoch: ledger.ping_before(lane, epoch, first) for epoch, first in began.items()}


def _order_of(ledger: HistoryIndex, lane: LaneOf) -> Key:
    known_records = [ledger.known_records(lane.stream, one.id) for one in ledger.accepted[lane]]
    if all(one.state is not None for one in known_records if one.owner is not None):
        return lambda one: -1 if one.state is None else one.state.place
    return _by_sort_and_id


def _by_sort_and_id(known_records: KnownRecord) -> tuple[Any, ...]:
    exists = known_records.exists
    return (*_comparable(None if exists is None else exists.sort), *_comparable(known_records.id))


def _comparable(value: Sort) -> tuple[int, Any]:
    match value:
        case None:
            return 0, 0
        case str():
            return 2, value
        case _:
            return 1, value
