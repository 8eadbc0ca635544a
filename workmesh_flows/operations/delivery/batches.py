"""Delivery of batches to one node: each is sent, split where the node refuses it or does not answer, and flagged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from time import monotonic
from typing import Any

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.lanes import LaneLease, update_lane
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.domain.reports import Tally
from workmesh_flows.errors import NodeError, NodeUnavailable
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.limits import RateLimiter, RunLimits
from workmesh_flows.operations.delivery.part_results import PartResults
from workmesh_flows.operations.delivery.request import (
    Accepted,
    Refused,
    SendResult,
    TooLarge,
    Unanswered,
    send,
)
from workmesh_flows.planning.bisection import Bisection, Sendable

logger = logging.getLogger(__name__)

SHRINK = 4
"""Where a batch was not answered, it is sent again in this many parts, and the next batches are as small."""
GROW = 2
"""After each of these smaller batches that is answered, the next batch has this many times its records."""


@dataclass(slots=True)
class BatchDelivery:
    """The delivery of one run's batches to one node."""

    context: LaneContext
    tables: PushTables
    lease: LaneLease
    clock: Clock
    client: HttpNodeClient
    tally: Tally
    results: PartResults
    rate: RateLimiter
    run_limits: RunLimits
    _may_grow: bool = False
    _start: float = field(default_factory=monotonic)

    @property
    def is_finished(self) -> bool:
        """Whether the run has sent everything, has reached a limit, or is blocked."""
        limits = self.run_limits
        late = limits.seconds is not None and monotonic() - self._start >= limits.seconds
        full = limits.records is not None and self.results.answered >= limits.records
        return late or full or self.tally.not_reached <= 0 or self.results.blocked is not None

    def batches(self, records: Sequence[Sendable], size: int) -> Iterator[Sequence[Sendable]]:
        """A slice's records in batches, without those that this run has already sent and that were refused."""
        refused = self.results.refused
        fresh = [item for item in records if item.id not in refused] if refused else records
        self.tally.not_reached -= len(records) - len(fresh)
        at = 0
        while at < len(fresh) and not self.is_finished:
            allowed = size if self.lease.next_batch is None else min(size, self.lease.next_batch)
            if self.run_limits.records is not None:
                allowed = min(allowed, self.run_limits.records - self.results.answered)
            batch = self._up_to_retried(
                self._up_to_dependent(fresh[at : at + min(allowed, self.tally.not_reached)])
            )
            batch = self._of_one_replay(batch)
            at += len(batch)
            self.tally.not_reached -= len(batch)
            yield batch

    def restart(self, pending: int) -> None:
        """Prepare for all pending records to be read again, those already counted as waiting included."""
        self.tally.selected, self.tally.undecided = self.results.answered, 0
        self.tally.not_reached = pending

    def deliver(self, batch: Sequence[Sendable]) -> None:
        """Send a batch, part by part where it is refused as a whole, and flag each part."""
        self.tally.selected += len(batch)
        self._may_grow = True
        ready, stalled = self._ready(batch)
        usual = fits = self.lease.batch_limit
        bisection = Bisection(ready, self.results.held, at_most=usual)
        for part in bisection.parts():
            # Before the search for the refused record begins, and before a single record is flagged.
            doubted = len(part) in {1, len(ready)}
            fits = self._deliver_part(part, bisection, fits, doubted=doubted)
            if self.results.in_doubt:
                self._try_once_more()
            if self.results.blocked:
                break
        self.results.held |= stalled
        self._may_grow = False
        self.tally.undecided += bisection.waiting + len(batch) - len(ready)
        if fits is not None and fits != usual:
            self._save_batch_limit(fits)

    def _deliver_part(
        self, part: Sequence[Sendable], bisection: Bisection, fits: int | None, *, doubted: bool
    ) -> int | None:
        """Send one part, then flag or split it; return the largest part that the node takes, as far as it is known."""
        match self._send(part, doubted=doubted):
            case Accepted(refused):
                self._flag(part, refused)
            case Refused(reason) if len(part) == 1:
                # A node names the record within its batch; here the record is known.
                self._flag(part, {part[0].id: reason.removeprefix(f"record {part[0].id}: ")})
            case TooLarge(reason) if len(part) == 1:
                self._flag(part, {part[0].id: reason})
                return self.lease.batch_limit  # this record was too large, not the batches
            case TooLarge(unsent=True):
                self.rate.give_back(len(part))
                bisection.split(part)
            case TooLarge():
                bisection.split(part)
                return min(fits or len(part), (len(part) + 1) // 2)
            case Unanswered():
                bisection.repeat(part, at_most=self.lease.next_batch or len(part))
            case Refused():
                bisection.split(part)
        return fits

    def _ready(self, batch: Sequence[Sendable]) -> tuple[Sequence[Sendable], set[Any]]:
        """The records of a batch that may be sent, and the owners whose records depend on one that was not sent."""
        if self.tables.protocol.follows is None:
            return batch, set()
        ready, stalled = [], set[Any]()
        for item in batch:
            if item.owner not in stalled and (
                item.depends_on is None or item.depends_on in self.results.sent
            ):
                ready.append(item)
            else:
                stalled.add(item.owner)
        return ready, stalled

    def _up_to_dependent(self, batch: Sequence[Sendable]) -> Sequence[Sendable]:
        """The batch up to a record that depends on an earlier one in it, which must be accepted first."""
        if not self.results.keeps_sent:
            return batch
        here = set[Any]()
        for at, item in enumerate(batch):
            if item.depends_on in here:
                return batch[:at]
            here.add(item.id)
        return batch

    def _up_to_retried(self, batch: Sequence[Sendable]) -> Sequence[Sendable]:
        """The batch up to a record that was refused before, which is sent alone: it may be refused again."""
        retrying = self.results.flags.refusals.retrying
        if not retrying:
            return batch
        at = next((at for at, item in enumerate(batch) if item.id in retrying), len(batch))
        return batch[: max(at, 1)]

    def _of_one_replay(self, batch: Sequence[Sendable]) -> Sequence[Sendable]:
        """The batch up to a record that was replayed at another time than the first one, or was not replayed."""
        replayed = self.results.flags.refusals.replayed
        if not replayed:
            return batch
        time = replayed.get(batch[0].id)
        return list(takewhile(lambda item: replayed.get(item.id) == time, batch))

    def _send(self, part: Sequence[Sendable], *, doubted: bool) -> SendResult:
        """Send a part. Where the node did not answer but answers a ping, the part is at fault, or too much at once."""
        limits = self.context.limits
        self.rate.wait(len(part), self.lease.lost)
        self.lease.check(self.context.engine, self.clock, limits.lease_seconds)
        replayed = self.results.flags.refusals.replayed.get(part[0].id)
        self.client.replay = replayed.isoformat() if replayed else ""
        try:
            return send(self.tables, part, self.client, doubted=doubted, at_most=limits.max_request_bytes)
        except NodeUnavailable as error:
            if not error.interrupted:
                raise
            return self._not_answered(part, error)
        finally:
            self.client.replay = ""

    def _not_answered(self, part: Sequence[Sendable], error: NodeUnavailable) -> SendResult:
        """Ping the node; one accident with a single record counts against nothing, so it is sent again."""
        suspected = self.lease.next_batch is not None or part[0].id in self.results.flags.refusals.retrying
        isolated = len(part) == 1 and suspected
        reason = self.client.scrub(f"the node stops answering while it handles the record: {error.reason}")
        self.lease.next_batch = max(len(part) // SHRINK, 1)
        self._may_grow = False
        try:
            self.client.ping()
        except NodeError:
            if isolated:
                self.results.connection_lost(part[0], reason)
            raise error from None
        return Refused(reason) if isolated else Unanswered()

    def _try_once_more(self) -> None:
        """Send the first of the refused records again, alone; raises NodeUnavailable where the node refuses it, too."""
        item, _ = next(iter(self.results.withheld.values()))
        answer = self._send([item], doubted=True)
        if not isinstance(answer, Accepted) or answer.refused:
            raise self.results.refuses_everything()
        del self.results.withheld[item.id]
        self.results.write([item], {})

    def _flag(self, part: Sequence[Sendable], refused: Mapping[Any, str]) -> None:
        """Write the flags of a part that the node answered."""
        if self._may_grow:
            self._grow()
        self.results.write(part, refused)

    def _grow(self) -> None:
        """Let the next batch have more records, once per batch, after a reduced one was answered."""
        self._may_grow = False
        if self.lease.next_batch is not None:
            grown = self.lease.next_batch * GROW
            self.lease.next_batch = None if grown >= (self.tables.push.size or 1) else grown

    def _save_batch_limit(self, limit: int) -> None:
        """Save the largest batch that the node takes, for this run and the next ones."""
        self.lease.batch_limit = limit
        update_lane(self.context.engine, self.lease, batch_limit=limit)
        logger.info(
            "node %s takes at most %d records of %s at once",
            self.context.node.name,
            limit,
            self.context.protocol.name,
        )
