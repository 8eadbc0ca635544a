"""Lanes: one sender at a time, one request at a time, and reports that add up.

A request that the node turned away because its sender was replaced (412, a stale epoch) is no violation: that is how a
sender that was paused and comes back is kept from doing harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workmesh_flows.testing.history.events import RequestOutcome, RequestSent
from workmesh_flows.testing.history.index import HistoryIndex, LaneOf
from workmesh_flows.testing.history.verdict import Promise, Violation

STALE = 412
"""What a node answers to a sender that was replaced."""


def sender_violations(ledger: HistoryIndex) -> Iterator[Violation]:
    """Requests of one lane that overlap, and pushes that were or may have been accepted while epochs fell.

    Requests without an epoch are left out. A pull only reads: a node may answer one of a sender that was replaced while
    the request was on its way, and the master does not write what came back.
    """
    for (lane, direction), requests in ledger.requests.items():
        held = [request for request in requests if request.epoch is not None and request.code != STALE]
        yield from _overlaps(lane, direction, held)
        if direction == "push":
            taken = [
                request
                for request in held
                if request.outcome in {RequestOutcome.ACCEPTED, RequestOutcome.LOST}
            ]
            yield from _falling_requests(lane, taken)
    for lane in ledger.accepted:
        yield from _falling_acceptances(ledger, lane)


def _overlaps(lane: LaneOf, direction: str, requests: Sequence[RequestSent]) -> Iterator[Violation]:
    last: RequestSent | None = None
    for request in requests:
        if last is not None and request.start < last.end:
            epochs = (
                f"both of epoch {request.epoch}"
                if request.epoch == last.epoch
                else f"of epochs {last.epoch} and {request.epoch}"
            )
            sentence = (
                f"{direction} request {request.number} began {last.end - request.start:.6f} s before request "
                f"{last.number} was over, {epochs}"
            )
            yield Violation(Promise.SENDER, *lane, request.ids[:1], sentence)
        if last is None or request.end > last.end:
            last = request


def _falling_requests(lane: LaneOf, requests: Sequence[RequestSent]) -> Iterator[Violation]:
    highest: RequestSent | None = None
    for request in requests:
        if highest is not None and (request.epoch or 0) < (highest.epoch or 0):
            sentence = (
                f"push request {request.number} of epoch {request.epoch} came to the node after request "
                f"{highest.number} of epoch {highest.epoch}"
            )
            yield Violation(Promise.SENDER, *lane, request.ids[:1], sentence)
        else:
            highest = request


def _falling_acceptances(ledger: HistoryIndex, lane: LaneOf) -> Iterator[Violation]:
    highest = before = None
    for one in ledger.accepted[lane]:
        if one.epoch is None:
            continue
        if highest is not None and one.epoch < highest and one.epoch != before:  # one sentence a request
            sentence = (
                f"record {one.id} was accepted under epoch {one.epoch}, after records of epoch {highest}"
            )
            yield Violation(Promise.SENDER, *lane, (one.id,), sentence)
        before = one.epoch
        highest = one.epoch if highest is None else max(highest, one.epoch)


def conservation_violations(ledger: HistoryIndex) -> Iterator[Violation]:
    """Reports whose parts are not their whole."""
    for report in ledger.reports:
        names = (
            ("pushed", "refused", "parked", "left")
            if report.direction == "push"
            else ("pulled", "failed", "left")
        )
        parts = {name: getattr(report, name) for name in names}
        if report.selected != sum(parts.values()) or min(parts.values()) < 0:
            summed = " + ".join(f"{number} {name}" for name, number in parts.items())
            sentence = f"a run selected {report.selected}, but reports {summed}"
            lane = (report.service, report.protocol, report.node)
            yield Violation(Promise.CONSERVATION, *lane, (), sentence)
