"""An index of a history: the events of each record, and the requests of each lane."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from workmesh_flows.domain.lane import Lane
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
"""The time of a record without a known one: before everything."""


class Stream(NamedTuple):
    """The records of one protocol of a service, at any node."""

    service: str
    protocol: str


@dataclass(slots=True)
class KnownRecord:
    """A record with its events; ``accepted`` are its acceptances, node by node in the order of arrival."""

    id: Id
    exists: RecordExists | None = None
    state: RecordState | None = None
    deleted: bool = False
    replayed: float = ALWAYS
    accepted: list[RecordAccepted] = field(default_factory=list)

    @property
    def visible(self) -> float:
        """The time from which a run finds it."""
        written = None if self.exists is None else self.exists.written
        return self.replayed if written is None else max(written, self.replayed)

    @property
    def owner(self) -> Id | None:
        """The key of its entity, None where no event names one."""
        source = self.state or self.exists
        return None if source is None else source.owner


@dataclass(slots=True)
class HistoryIndex:
    """All events of a history. Push and pull have separate lanes, because each direction has its own epochs."""

    events: int = 0
    records: dict[Stream, dict[str, KnownRecord]] = field(default_factory=lambda: defaultdict(dict))
    accepted: dict[Lane, list[RecordAccepted]] = field(default_factory=lambda: defaultdict(list))
    """By push lane, in the order of arrival."""
    requests: dict[Lane, list[RequestSent]] = field(default_factory=lambda: defaultdict(list))
    pings: dict[tuple[str, str | None, str, int | None], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Start times, by service, protocol, node and epoch."""
    moves: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """Times, by service and entity."""
    reports: list[LaneReported] = field(default_factory=list)
    logs_read: set[tuple[str, str]] = field(default_factory=set)
    """Service and node of each arrival log that was read."""
    with_states: set[Stream] = field(default_factory=set)
    """Streams of which records have a final state."""

    def record(self, stream: Stream, record_id: Id) -> KnownRecord:
        """The record of this id; a new one where no event named it before."""
        records, key = self.records[stream], str(record_id)
        if key not in records:
            records[key] = KnownRecord(record_id)
        return records[key]

    def record_of(self, lane: Lane, record_id: Id) -> KnownRecord:
        """The record of this id in the stream of a lane."""
        return self.record(Stream(lane.service, lane.protocol), record_id)

    def all_records(self) -> Iterator[tuple[Stream, KnownRecord]]:
        """Every record that any event names."""
        return ((stream, record) for stream, records in self.records.items() for record in records.values())

    def moves_of(self, service: str, owner: Id | None) -> Sequence[float]:
        """The times at which an entity was moved or its data was sent again, in order."""
        return self.moves.get((service, str(owner)), ()) if self.moves else ()

    def ping_before(self, lane: Lane, epoch: int | None, time: float) -> float:
        """The start of the last ping of a run before a time, else that time. A ping may name no protocol."""
        for protocol in (lane.protocol, None):
            pings = self.pings.get((lane.service, protocol, lane.node, epoch), ())
            if count := bisect_right(pings, time):
                return pings[count - 1]
        return time

    def add(self, event: Event) -> None:  # noqa: C901 - one case for each kind of event
        """Add one event."""
        self.events += 1
        match event:
            case RecordAccepted():
                self.accepted[Lane(event.service, event.protocol, event.node)].append(event)
            case RecordState():
                stream = Stream(event.service, event.protocol)
                self.record(stream, event.id).state = event
                self.with_states.add(stream)
            case RecordExists():
                record = self.record(Stream(event.service, event.protocol), event.id)
                if record.exists is None or _written(event) < _written(record.exists):
                    record.exists = event  # the earliest time counts where a record is recorded again
            case RequestSent(protocol=str(protocol), direction="push" | "pull" as direction):
                self.requests[Lane(event.service, protocol, event.node, direction)].append(event)
            case RequestSent():
                if event.path.endswith(PING):
                    self.pings[event.service, event.protocol, event.node, event.epoch].append(event.start)
            case RecordDeleted():
                self.record(Stream(event.service, event.protocol), event.id).deleted = True
            case RecordReplayed():
                record = self.record(Stream(event.service, event.protocol), event.id)
                record.replayed = max(record.replayed, event.time)
            case EntityMoved():
                self.moves[event.service, str(event.owner)].append(event.time)
            case ArrivalsRead():
                self.logs_read.add((event.service, event.node))
            case LaneReported():
                self.reports.append(event)

    def finish(self) -> None:
        """Sort everything once all events are added, and give each record its acceptances."""
        for requests in self.requests.values():
            requests.sort(key=lambda request: (request.start, request.number))
        for times in (*self.moves.values(), *self.pings.values()):
            times.sort()
        with_log = self.logs_read | {(lane.service, lane.node) for lane in self.accepted}
        for lane, requests in self.requests.items():
            if lane.direction == "push" and (lane.service, lane.node) not in with_log:
                self.accepted[lane] = _accepted_by_answers(lane, requests)
        for lane, acceptances in self.accepted.items():
            acceptances.sort(key=lambda accepted: accepted.seq)
            # A log that was read twice holds every acceptance twice.
            self.accepted[lane] = [
                accepted
                for previous, accepted in pairwise([None, *acceptances])
                if accepted is not None and accepted != previous
            ]
            for accepted in self.accepted[lane]:
                self.record_of(lane, accepted.id).accepted.append(accepted)


def _written(event: RecordExists) -> float:
    return ALWAYS if event.written is None else event.written


def _accepted_by_answers(lane: Lane, requests: Sequence[RequestSent]) -> list[RecordAccepted]:
    """The acceptances of a node without an arrival log, as its answers show them."""
    first: dict[str, RecordAccepted] = {}
    for request in sorted(requests, key=lambda request: request.end):
        if request.outcome is RequestOutcome.ACCEPTED:
            refused = {str(record_id) for record_id in request.refused}
            for record_id in request.ids:
                if str(record_id) not in refused and str(record_id) not in first:
                    first[str(record_id)] = RecordAccepted(
                        service=lane.service,
                        protocol=lane.protocol,
                        node=lane.node,
                        id=record_id,
                        seq=len(first),
                        time=request.end,
                        epoch=request.epoch,
                    )
    return list(first.values())


def index_history(events: Iterable[Event]) -> HistoryIndex:
    """Read a history once; memory holds each of its events once."""
    index = HistoryIndex()
    for event in events:
        index.add(event)
    index.finish()
    return index
