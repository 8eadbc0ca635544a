"""A single sender per lane: one sender at a time, and one request at a time.

A request that the node rejected with 412, because its sender was replaced, is no violation: this answer is what stops
a sender that resumes after a pause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workmesh_flows.domain.lane import Lane
from workmesh_flows.testing.history.events import RequestOutcome, RequestSent
from workmesh_flows.testing.history.index import HistoryIndex
from workmesh_flows.testing.history.verdict import Guarantee, Violation

STALE_EPOCH = 412
"""The status code with which a node rejects a sender that was replaced."""


def find_concurrent_senders(index: HistoryIndex) -> Iterator[Violation]:
    """Yield overlapping requests of one lane, and pushes under an old epoch that the node may have accepted.

    Requests without an epoch are left out. A pull only reads: a node may answer one of a sender that was replaced while
    the request was on its way, and the master does not write the answer.
    """
    for lane, requests in index.requests.items():
        with_epoch = [
            request for request in requests if request.epoch is not None and request.code != STALE_EPOCH
        ]
        yield from _overlaps(lane, with_epoch)
        if lane.direction == "push":
            maybe_accepted = [
                request
                for request in with_epoch
                if request.outcome in {RequestOutcome.ACCEPTED, RequestOutcome.LOST}
            ]
            yield from _requests_under_old_epochs(lane, maybe_accepted)
    for lane in index.accepted:
        yield from _records_under_old_epochs(index, lane)


def _overlaps(lane: Lane, requests: Sequence[RequestSent]) -> Iterator[Violation]:
    last: RequestSent | None = None
    for request in requests:
        if last is not None and request.start < last.end:
            epochs = (
                f"both of epoch {request.epoch}"
                if request.epoch == last.epoch
                else f"of epochs {last.epoch} and {request.epoch}"
            )
            sentence = (
                f"{lane.direction} request {request.number} started {last.end - request.start:.6f} s before request "
                f"{last.number} ended, {epochs}"
            )
            yield Violation.on_lane(Guarantee.SINGLE_SENDER, lane, request.ids[:1], sentence)
        if last is None or request.end > last.end:
            last = request


def _requests_under_old_epochs(lane: Lane, requests: Sequence[RequestSent]) -> Iterator[Violation]:
    highest: RequestSent | None = None
    for request in requests:
        if highest is not None and (request.epoch or 0) < (highest.epoch or 0):
            sentence = (
                f"push request {request.number} of epoch {request.epoch} was sent to the node after request "
                f"{highest.number} of epoch {highest.epoch}"
            )
            yield Violation.on_lane(Guarantee.SINGLE_SENDER, lane, request.ids[:1], sentence)
        else:
            highest = request


def _records_under_old_epochs(index: HistoryIndex, lane: Lane) -> Iterator[Violation]:
    highest = previous = None
    for accepted in index.accepted[lane]:
        if accepted.epoch is None:
            continue
        # One sentence for all records of one request.
        if highest is not None and accepted.epoch < highest and accepted.epoch != previous:
            sentence = (
                f"record {accepted.id} was accepted under epoch {accepted.epoch}, "
                f"after records of epoch {highest}"
            )
            yield Violation.on_lane(Guarantee.SINGLE_SENDER, lane, (accepted.id,), sentence)
        previous = accepted.epoch
        highest = accepted.epoch if highest is None else max(highest, accepted.epoch)
