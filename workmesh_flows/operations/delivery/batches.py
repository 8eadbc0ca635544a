"""Delivery of batches to one node: each is sent, split where it is refused as a whole, and flagged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.lanes import LaneLease, update_lane
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.push_flags import PushFlags
from workmesh_flows.adapters.store.refused_records import Refusal
from workmesh_flows.domain.reports import Tally
from workmesh_flows.errors import NodeUnavailable
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.limits import RateLimiter, RunLimits
from workmesh_flows.operations.delivery.request import Accepted, Refused, SendResult, TooLarge, send
from workmesh_flows.planning.bisection import Bisection, Sendable
from workmesh_flows.planning.refusals import RefusalState, state_after

logger = logging.getLogger(__name__)

SHRINK = 4
"""After a batch with which the connection was lost, the next batch has this fraction of its records."""
GROW = 2
"""After each of these smaller batches that is answered, the next batch has this many times its records."""
REMEMBERED = 100_000
"""Ids of sent records kept in memory for records that depend on them; where dropped, those wait for the next run."""


@dataclass(slots=True)
class BatchDelivery:
    """The delivery of one run's batches to one node.

    ``held`` are the owners whose records wait behind a refused one; ``blocked`` is the record that blocks the lane,
    with the reason.
    """

    context: LaneContext
    tables: PushTables
    lease: LaneLease
    clock: Clock
    client: HttpNodeClient
    tally: Tally
    flags: PushFlags
    rate: RateLimiter
    run_limits: RunLimits
    held: set[Any] = field(default_factory=set)
    refused: set[Any] = field(default_factory=set)
    blocked: tuple[str, str] | None = None
    _sent: set[Any] = field(default_factory=set)
    _may_grow: bool = False
    _start: float = field(default_factory=monotonic)

    @property
    def is_finished(self) -> bool:
        """Whether the run has sent everything, has reached a limit, or is blocked."""
        limits = self.run_limits
        late = limits.seconds is not None and monotonic() - self._start >= limits.seconds
        full = limits.records is not None and self.tally.decided >= limits.records
        return late or full or self.tally.not_reached <= 0 or self.blocked is not None

    @property
    def _follows_itself(self) -> bool:
        """Whether a record may depend on another record of the same lane."""
        follows = self.tables.protocol.follows
        return follows is not None and follows.protocol is self.tables.protocol

    def batches(self, records: Sequence[Sendable], size: int) -> Iterator[Sequence[Sendable]]:
        """A slice's records in batches, without those that this run has already sent and that were refused."""
        fresh = [item for item in records if item.id not in self.refused] if self.refused else records
        self.tally.not_reached -= len(records) - len(fresh)
        at = 0
        while at < len(fresh) and not self.is_finished:
            allowed = size if self.lease.next_batch is None else min(size, self.lease.next_batch)
            if self.run_limits.records is not None:
                allowed = min(allowed, self.run_limits.records - self.tally.decided)
            batch = self._up_to_dependent(fresh[at : at + min(allowed, self.tally.not_reached)])
            at += len(batch)
            self.tally.not_reached -= len(batch)
            yield batch

    def restart(self, pending: int) -> None:
        """Prepare for all pending records to be read again, those already counted as waiting included."""
        self.tally.selected, self.tally.undecided = self.tally.decided, 0
        self.tally.not_reached = pending

    def deliver(self, batch: Sequence[Sendable]) -> None:
        """Send a batch, part by part where it is refused as a whole, and flag each part."""
        self.tally.selected += len(batch)
        self._may_grow = True
        ready, stalled = self._ready(batch)
        usual = fits = self.lease.batch_limit
        bisection = Bisection(ready, self.held, at_most=usual)
        for part in bisection.parts():
            # Before the search for the refused record begins, and before a single record is flagged.
            doubted = len(part) in {1, len(ready)}
            match self._send(part, doubted=doubted):
                case Accepted(refused):
                    self._flag(part, refused)
                case Refused(reason) if len(part) == 1:
                    # A node names the record within its batch; here the record is known.
                    self._flag(part, {part[0].id: reason.removeprefix(f"record {part[0].id}: ")})
                case TooLarge(reason) if len(part) == 1:
                    self._flag(part, {part[0].id: reason})
                    fits = usual  # this record was too large, not the batches
                case TooLarge(unsent=True):
                    self.rate.give_back(len(part))
                    bisection.split(part)
                case TooLarge():
                    fits = min(fits or len(part), (len(part) + 1) // 2)
                    bisection.split(part)
                case Refused():
                    bisection.split(part)
            if self.blocked:
                break
        self.held |= stalled
        self._may_grow = False
        self.tally.undecided += bisection.waiting + len(batch) - len(ready)
        if fits is not None and fits != usual:
            self._save_batch_limit(fits)

    def _ready(self, batch: Sequence[Sendable]) -> tuple[Sequence[Sendable], set[Any]]:
        """The records of a batch that may be sent, and the owners whose records depend on one that was not sent."""
        if self.tables.protocol.follows is None:
            return batch, set()
        ready, stalled = [], set[Any]()
        for item in batch:
            if item.owner not in stalled and (item.depends_on is None or item.depends_on in self._sent):
                ready.append(item)
            else:
                stalled.add(item.owner)
        return ready, stalled

    def _up_to_dependent(self, batch: Sequence[Sendable]) -> Sequence[Sendable]:
        """The batch up to a record that depends on an earlier one in it, which must be accepted first."""
        if not self._follows_itself:
            return batch
        here = set[Any]()
        for at, item in enumerate(batch):
            if item.depends_on in here:
                return batch[:at]
            here.add(item.id)
        return batch

    def _send(self, part: Sequence[Sendable], *, doubted: bool) -> SendResult:
        """Send a part; where the connection is lost a second time with a single record, that counts as its refusal."""
        limits = self.context.limits
        self.rate.wait(len(part), self.lease.lost)
        self.lease.check(self.context.engine, self.clock, limits.lease_seconds)
        try:
            return send(self.tables, part, self.client, doubted=doubted, at_most=limits.max_request_bytes)
        except NodeUnavailable as error:
            if error.interrupted:
                if len(part) == 1 and self.lease.next_batch is not None:
                    reason = f"the node stops answering while it handles the record: {error.reason}"
                    self._flag(part, {part[0].id: self.client.scrub(reason)}, answered=False)
                self.lease.next_batch = max(len(part) // SHRINK, 1)
            raise

    def _flag(self, part: Sequence[Sendable], refused: Mapping[Any, str], *, answered: bool = True) -> None:
        """Write the flags of a part; from then on the owners of its refused records are held."""
        now, push = self.clock(), self.tables.push
        refusals = {}
        most = push.max_attempts or self.context.limits.max_attempts
        for record_id, reason in refused.items():
            attempts, since = self.flags.refusals.retrying.get(record_id, (0, now))
            state = state_after(attempts + 1, most=most, policy=push.policy)
            refusals[record_id] = Refusal(reason, attempts + 1, since, state)
        pushed = (
            [item.id for item in part if item.id not in refused] if refused else [item.id for item in part]
        )
        if answered and self._may_grow:
            self._grow()
        self.flags.write(pushed, refusals, now, answered=answered)
        self.tally.succeeded += len(pushed)
        if self._follows_itself:
            if len(self._sent) > REMEMBERED:
                self._sent.clear()
            self._sent.update(pushed)
        if refusals:
            self._hold_back(part, refusals)

    def _hold_back(self, part: Sequence[Sendable], refusals: Mapping[Any, Refusal]) -> None:
        """Hold the owners of refused records, and count the refusals."""
        for item in part:
            refusal = refusals.get(item.id)
            if refusal is None:
                continue
            if refusal.state is not RefusalState.SKIPPED:
                self.held.add(item.owner)
            if refusal.state is RefusalState.BLOCKING:
                self.blocked = self.blocked or (str(item.id), refusal.reason)
        self.refused.update(refusals)
        parked = sum(refusal.state is not RefusalState.RETRYING for refusal in refusals.values())
        reasons = {record_id: refusal.reason for record_id, refusal in refusals.items()}
        self.tally.add_failed(reasons, parked=parked)

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
