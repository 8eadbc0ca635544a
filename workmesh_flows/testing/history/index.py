"""A history sorted by what it is about: each record with all that is said of it, each lane with its requests."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from workmesh_flows.testing.history.events import (
    ArrivalsRead,
    EntityMoved,
    Event,
    Id,
    LaneReported,
    RecordAccepted,
    RecordDeleted,
    RecordExists,
    RecordReplayed,
    RecordState,
    RequestOutcome,
    RequestSent,
)

PING = "/ping.json"
ALWAYS = float("-inf")
"""When a record was written of which nothing is said: before everything."""


class Stream(NamedTuple):
    """The records of one protocol."""

    service: str
    protocol: str


class LaneOf(NamedTuple):
    """One protocol at one node."""

    service: str
    protocol: str
    node: str

    @property
    def stream(self) -> Stream:
        """The protocol, at whatever node."""
        return Stream(self.service, self.protocol)


@dataclass(slots=True)
class KnownRecord:
    """A record, and what is said of it; ``accepted`` are its first acceptances, node by node as they came."""

    id: Id
    exists: RecordExists | None = None
    state: RecordState | None = None
    deleted: bool = False
    resumed: float = ALWAYS
    accepted: list[RecordAccepted] = field(default_factory=list)

    @property
    def visible(self) -> float:
        """Since when a run would find it."""
        written = None if self.exists is None else self.exists.written
        return self.resumed if written is None else max(written, self.resumed)

    @property
    def owner(self) -> Id | None:
        """The key of the entity it belongs to, where anything says so."""
        told = self.state or self.exists
        return None if told is None else told.owner


@dataclass(slots=True)
class HistoryIndex:
    """All of a history. Lanes of push and of pull are apart: each direction has epochs of its own."""

    events: int = 0
    records: dict[Stream, dict[str, KnownRecord]] = field(default_factory=lambda: defaultdict(dict))
    accepted: dict[LaneOf, list[RecordAccepted]] = field(default_factory=lambda: defaultdict(list))
    requests: dict[tuple[LaneOf, str], list[RequestSent]] = field(default_factory=lambda: defaultdict(list))
    pings: dict[tuple[str, str | None, str, int | None], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    moved: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    reports: list[LaneReported] = field(default_factory=list)
    read: set[tuple[str, str]] = field(default_factory=set)
    told: set[Stream] = field(default_factory=set)

    def known_records(self, stream: Stream, record_id: Id) -> KnownRecord:
        """The record's page; a new one where nothing was said yet."""
        records, text = self.records[stream], str(record_id)
        if text not in records:
            records[text] = KnownRecord(record_id)
        return records[text]

    def all_records(self) -> Iterator[tuple[Stream, KnownRecord]]:
        """Every record that anything is said of."""
        return (
            (stream, known_records)
            for stream, records in self.records.items()
            for known_records in records.values()
        )

    def moves_of(self, service: str, owner: Id | None) -> Sequence[float]:
        """When an entity moved or was sent again, in order of time."""
        return self.moved.get((service, str(owner)), ()) if self.moved else ()

    def ping_before(self, lane: LaneOf, epoch: int | None, time: float) -> float:
        """When the last ping of a run was sent before a time, else that time. It may name no protocol."""
        for protocol in (lane.protocol, None):
            pings = self.pings.get((lane.service, protocol, lane.node, epoch), ())
            if before := bisect_right(pings, time):
                return pings[before - 1]
        return time

    def enter(self, event: Event) -> None:  # noqa: C901 - a row a kind of event
        """Take in one event."""
        self.events += 1
        match event:
            case RecordAccepted():
                self.accepted[LaneOf(event.service, event.protocol, event.node)].append(event)
            case RecordState():
                stream = Stream(event.service, event.protocol)
                self.known_records(stream, event.id).state = event
                self.told.add(stream)
            case RecordExists():
                known_records = self.known_records(Stream(event.service, event.protocol), event.id)
                if known_records.exists is None or _written(event) < _written(known_records.exists):
                    known_records.exists = event  # told again later, it is still as old as it was
            case RequestSent(protocol=str(protocol), direction=str(direction)):
                self.requests[LaneOf(event.service, protocol, event.node), direction].append(event)
            case RequestSent():
                if event.path.endswith(PING):
                    self.pings[event.service, event.protocol, event.node, event.epoch].append(event.start)
            case RecordDeleted():
                self.known_records(Stream(event.service, event.protocol), event.id).deleted = True
            case RecordReplayed():
                known_records = self.known_records(Stream(event.service, event.protocol), event.id)
                known_records.resumed = max(known_records.resumed, event.time)
            case EntityMoved():
                self.moved[event.service, str(event.owner)].append(event.time)
            case ArrivalsRead():
                self.read.add((event.service, event.node))
            case LaneReported():
                self.reports.append(event)

    def close(self) -> None:
        """Put everything into order, once all events are in."""
        for requests in self.requests.values():
            requests.sort(key=lambda request: (request.start, request.number))
        for times in (*self.moved.values(), *self.pings.values()):
            times.sort()
        logged = self.read | {(lane.service, lane.node) for lane in self.accepted}
        for (lane, direction), requests in self.requests.items():
            if direction == "push" and (lane.service, lane.node) not in logged:
                self.accepted[lane] = _answered(lane, requests)
        for lane, accepted in self.accepted.items():
            accepted.sort(key=lambda one: one.seq)
            # A log that was read twice says everything twice.
            self.accepted[lane] = once = [
                one for before, one in pairwise([None, *accepted]) if one is not None and one != before
            ]
            for one in once:
                self.known_records(lane.stream, one.id).accepted.append(one)


def _written(event: RecordExists) -> float:
    return ALWAYS if event.written is None else event.written


def _answered(lane: LaneOf, requests: Sequence[RequestSent]) -> list[RecordAccepted]:
    """What a node accepted as far as its answers say, for one that keeps no log."""
    first: dict[str, RecordAccepted] = {}
    for request in sorted(requests, key=lambda request: request.end):
        if request.outcome is RequestOutcome.ACCEPTED:
            refused = {str(record_id) for record_id in request.refused}
            for record_id in request.ids:
                if str(record_id) not in refused and str(record_id) not in first:
                    first[str(record_id)] = RecordAccepted(
                        **lane._asdict(), id=record_id, seq=len(first), time=request.end, epoch=request.epoch
                    )
    return list(first.values())


def index_history(events: Iterable[Event]) -> HistoryIndex:
    """Read a history once; memory holds its events, each of them once."""
    ledger = HistoryIndex()
    for event in events:
        ledger.enter(event)
    ledger.close()
    return ledger
