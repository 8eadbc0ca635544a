"""What a history is made of: one event a line, each a JSON object whose ``event`` names its kind.

==========  ===================================================================  ==========================
event       says                                                                 written by
==========  ===================================================================  ==========================
record      a record exists, or was written late                                 the test, `record_records`
deleted     the test took a record away                                          the test
sent        a request passed the proxy: lane, epoch, ids, from when to when,     `FaultyProxy`
            and what became of it
accepted    a node has a record, for the first time: when, in which place        `record_arrivals`
arrivals    the log of a node was read whole: what is not in it was not accepted  `record_arrivals`
moved       an entity changed its node, or (source is target) is sent again      `record_state`
resumed     a record that was parked or skipped was let go again                 the test
report      what a run over a lane said of itself                                `record_report`
state       how a record stands at the end                                       `record_state`
==========  ===================================================================  ==========================

Times are seconds since 1970 in UTC, as ``time.time()`` gives them. Ids, owners and sort values are JSON numbers or
texts; ids and owners are compared as text, so that 7 and "7" are one record, as they are on the wire. A protocol is
told apart by its service. Nothing here can hold an api key or a payload.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

Id: TypeAlias = int | str
Sort: TypeAlias = int | float | str | None


class RequestOutcome(StrEnum):
    """What became of a request, as the network between master and node sees it."""

    ACCEPTED = "accepted"
    """The node answered success, and the answer was handed to the master."""
    ANSWERED = "answered"
    """The node answered something else, and that was handed to the master."""
    LOST = "lost"
    """The node may have got the request; its answer did not come to the master, or not whole."""
    WITHHELD = "withheld"
    """The node never got the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordExists:
    """``written`` is when its transaction had ended, where that was not before all pushing; else left out."""

    event: Literal["record"] = "record"
    service: str
    protocol: str
    id: Id
    owner: Id | None
    sort: Sort
    written: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDeleted:
    """It may be gone at the end."""

    event: Literal["deleted"] = "deleted"
    service: str
    protocol: str
    id: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSent:
    """``direction`` is push or pull, null for a question such as a ping; ``refused`` are ids that the node named.

    ``start`` is when the first byte of it came, ``end`` when the master had the answer, or had none for good.
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
    """``seq`` rises in the order of acceptance over all protocols of a service at a node."""

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
    """Where this is missing, what a node accepted is taken from the requests that it answered with success."""

    event: Literal["arrivals"] = "arrivals"
    service: str
    node: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMoved:
    """From here on its records may be sent again, from before what was sent last."""

    event: Literal["moved"] = "moved"
    service: str
    owner: Id
    source: str
    target: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReplayed:
    """It may be accepted after records that come behind it."""

    event: Literal["resumed"] = "resumed"
    service: str
    protocol: str
    id: Id
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneReported:
    """One run over one lane: ``selected`` is the sum of all the others."""

    event: Literal["report"] = "report"
    service: str
    protocol: str
    node: str
    direction: Literal["push", "pull"]
    selected: int
    left: int = 0
    pushed: int = 0
    refused: int = 0
    parked: int = 0
    pulled: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordState:
    """The record's row at the end; ``node`` is its owner's, ``place`` its number in the database's own order.

    ``parked`` says how it was set aside, null where it was not. ``pulls`` is whether results of it are collected.
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
