"""The events of a history: one JSON object a line, whose ``event`` names its kind.

==========  ==========================================================================  ==========================
event       meaning                                                                     written by
==========  ==========================================================================  ==========================
record      a record exists, or was written late                                        the test, `record_records`
deleted     the test deleted a record                                                   the test
sent        a request passed the proxy: lane, epoch, ids, start, end and outcome        `FaultyProxy`
accepted    a node accepted a record for the first time: time and sequence number       `record_arrivals`
arrivals    the arrival log of a node was read completely: nothing else was accepted    `record_arrivals`
moved       an entity changed its node, or (source is target) its data is sent again    `record_state`
resumed     a parked or skipped record was replayed                                     the test
report      the report of a run over a lane                                             `record_report`
state       the state of a record at the end                                            `record_state`
==========  ==========================================================================  ==========================

Times are seconds since 1970 in UTC, as ``time.time()`` returns them. Ids, owners and sort values are JSON numbers or
texts; ids and owners are compared as text, so that 7 and "7" are one record, as in the HTTP contract. Protocols of
two services are different even where their names are equal. No event can hold an API key or a payload.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

Id: TypeAlias = int | str
Sort: TypeAlias = int | float | str | None


class RequestOutcome(StrEnum):
    """The outcome of a request, as the network between master and node sees it."""

    ACCEPTED = "accepted"
    """The node answered success, and the master got the answer."""
    ANSWERED = "answered"
    """The node answered something else, and the master got the answer."""
    LOST = "lost"
    """The node may have got the request; the master got no answer, or only a part of it."""
    WITHHELD = "withheld"
    """The node never got the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordExists:
    """A record of the master. ``written`` is when its transaction committed, None if before the first push."""

    event: Literal["record"] = "record"
    service: str
    protocol: str
    id: Id
    owner: Id | None
    sort: Sort
    written: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDeleted:
    """The test deleted a record, which may be missing at the end."""

    event: Literal["deleted"] = "deleted"
    service: str
    protocol: str
    id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSent:
    """A request. ``direction`` is None without records, as for a ping; ``refused`` are ids that the node named.

    ``start`` is when the proxy got its first byte, ``end`` when the master had the answer or its connection ended.
    """

    event: Literal["sent"] = "sent"
    service: str
    node: str
    number: int
    path: str
    protocol: str | None = None
    direction: Literal["push", "pull"] | None = None
    epoch: int | None = None
    ids: tuple[Id, ...] = ()
    refused: tuple[Id, ...] = ()
    start: float
    end: float
    outcome: RequestOutcome
    code: int | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAccepted:
    """A node accepted a record. ``seq`` rises in the order of acceptance, over all protocols of the service."""

    event: Literal["accepted"] = "accepted"
    service: str
    protocol: str
    node: str
    id: Id
    seq: int
    time: float
    epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalsRead:
    """A node's arrival log was read. Without this event, a record counts as accepted if its request succeeded."""

    event: Literal["arrivals"] = "arrivals"
    service: str
    node: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMoved:
    """An entity was moved: from now on its records may be sent again, in their order from the first pending one."""

    event: Literal["moved"] = "moved"
    service: str
    owner: Id
    source: str
    target: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReplayed:
    """A record was replayed: it may be accepted after records that come after it in the order."""

    event: Literal["resumed"] = "resumed"
    service: str
    protocol: str
    id: Id
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneReported:
    """The report of one run over one lane: ``selected`` is the sum of all other counts."""

    event: Literal["report"] = "report"
    service: str
    protocol: str
    node: str
    direction: Literal["push", "pull"]
    selected: int
    pushed: int = 0
    refused: int = 0
    parked: int = 0
    waiting: int = 0
    pulled: int = 0
    failed: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordState:
    """The row of a record at the end; ``node`` is its owner's, ``place`` its position in the database's own order.

    ``parked`` is why no push will send it (parked, blocking, skipped or behind), else None. ``pulls`` is whether its
    protocol pulls results.
    """

    event: Literal["state"] = "state"
    service: str
    protocol: str
    id: Id
    owner: Id | None
    node: str | None
    place: int
    push_success: bool | None
    push_time: float | None
    pulls: bool
    pull_success: bool | None
    parked: str | None


Event: TypeAlias = (
    RecordExists
    | RecordDeleted
    | RequestSent
    | RecordAccepted
    | ArrivalsRead
    | EntityMoved
    | RecordReplayed
    | LaneReported
    | RecordState
)
