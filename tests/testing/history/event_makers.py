"""Functions that make events: by default of leads, which one service sends to n1, sorted by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workmesh_flows.testing import (
    EntityMoved,
    LaneReported,
    RecordAccepted,
    RecordDeleted,
    RecordExists,
    RecordReplayed,
    RecordState,
    RequestOutcome,
    RequestSent,
)

LEADS: dict[str, Any] = {"service": "leads", "protocol": "lead"}


def record(number: int, *, owner: int | None = 1, written: float | None = None, **more: Any) -> RecordExists:
    return RecordExists(**LEADS, id=number, owner=owner, written=written, **{"sort": number, **more})


def accepted(
    number: int, seq: int, *, time: float | None = None, node: str = "n1", epoch: int | None = 1
) -> RecordAccepted:
    """At the time of its seq, unless ``time`` is given."""
    at = float(seq) if time is None else time
    return RecordAccepted(**LEADS, node=node, id=number, seq=seq, time=at, epoch=epoch)


def state(number: int, *, owner: int | None = 1, node: str | None = "n1", **more: Any) -> RecordState:
    """Pushed at the time of its id, of a protocol without pull."""
    usual = {"push_success": True, "push_time": float(number), "pulls": False, "pull_success": None}
    given: dict[str, Any] = {**usual, "place": number, "parked": None, **more}
    return RecordState(**LEADS, id=number, owner=owner, node=node, **given)


def pending(number: int, **more: Any) -> RecordState:
    return state(number, **{"push_success": None, "push_time": None, **more})


def sent(number: int, ids: Sequence[int], start: float, end: float, **more: Any) -> RequestSent:
    given: dict[str, Any] = {
        "epoch": 1,
        "outcome": RequestOutcome.ACCEPTED,
        "node": "n1",
        "direction": "push",
        **more,
    }
    return RequestSent(
        **LEADS, number=number, path="/lead/push.json", ids=tuple(ids), start=start, end=end, **given
    )


def ping(number: int, start: float, *, epoch: int = 1) -> RequestSent:
    return RequestSent(
        service="leads",
        node="n1",
        number=number,
        path="/ping.json",
        epoch=epoch,
        start=start,
        end=start,
        outcome=RequestOutcome.ACCEPTED,
    )


def moved(time: float, *, owner: int = 1, source: str = "n1", target: str = "n2") -> EntityMoved:
    return EntityMoved(service="leads", owner=owner, source=source, target=target, time=time)


def replayed(number: int, time: float) -> RecordReplayed:
    return RecordReplayed(**LEADS, id=number, time=time)


def deleted(number: int) -> RecordDeleted:
    return RecordDeleted(**LEADS, id=number)


def report(**counts: Any) -> LaneReported:
    return LaneReported(**LEADS, node="n1", **{"direction": "push", **counts})
