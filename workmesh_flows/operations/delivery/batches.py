"""Delivery: batches on their way to one node, and what becomes of their records."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.lanes import LaneLease, update_lane
from workmesh_flows.adapters.store.push_flags import PushFlags
from workmesh_flows.adapters.store.refused_records import Refusal
from workmesh_flows.domain.protocol import Push
from workmesh_flows.domain.reports import Tally
from workmesh_flows.errors import NodeUnavailable
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.limits import RateLimiter, RunLimits
from workmesh_flows.operations.delivery.request import Accepted, Refused, SendResult, TooLarge, send
from workmesh_flows.planning.batching import Bisection, Sendable
from workmesh_flows.planning.refusals import RefusalState, state_after

logger = logging.getLogger(__name__)

SHRINK = 4
"""After a batch with which the node went away, the next one has this part of its records."""
GROW = 2
"""After each batch of those that arrives, the next one has so many times its records."""
REMEMBERED = 100_000
"""Records of a run that are remembered as sent for those that follow them; what is forgotten waits for the next run."""


@dataclass(slots=True)
class BatchDelivery:
    """Batches on their way to one node.

    ``held`` are the owners whose records wait behind a refused one, ``blocked`` is the record that blocks the lane, and why.
    """

    context: LaneContext
    push: Push
    lease: LaneLease
    clock: Clock
    client: HttpNodeClient
    tally: Tally
    flags: PushFlags
    pace: RateLimiter
    bounds: RunLimits
    held: set[Any] = field(default_factory=set)
    refused: set[Any] = field(default_factory=set)
    blocked: tuple[str, str] | None = None
    _sent: set[Any] = field(default_factory=set)
    _grows: bool = False
    _began: float = field(default_factory=monotonic)

    @property
    def over(self) -> bool:
        """Whether the run has done what it was to do."""
        late = self.bounds.seconds is not None and monotonic() - self._began >= self.bounds.seconds
        full = self.bounds.records is not None and self.tally.decided >= self.bounds.records
        return late or full or self.tally.unread <= 0 or self.blocked is not None

    @property
    def _follows_itself(self) -> bool:
        """Whether a record may wait for one of the same run."""
        follows = self.context.protocol.follows
        return follows is not None and follows.protocol is self.context.protocol

    def batches(self, records: Sequence[Sendable], size: int) -> Iterator[Sequence[Sendable]]:
        """A turn's records in batches, without what was refused before they were read again."""
        fresh = [item for item in records if item.id not in self.refused] if self.refused else records
        self.tally.unread -= len(records) - len(fresh)
        at = 0
        while at < len(fresh) and not self.over:
            allowed = size if self.lease.next_batch is None else min(size, self.lease.next_batch)
            if self.bounds.records is not None:
                allowed = min(allowed, self.bounds.records - self.tally.decided)
            batch = self._without_followers(fresh[at : at + min(allowed, self.tally.unread)])
            at += len(batch)
            self.tally.unread -= len(batch)
            yield batch

    def begin_again(self, pending: int) -> None:
        """All that is pending will be read once more, also what was counted as left."""
        self.tally.selected, self.tally.left = self.tally.decided, 0
        self.tally.unread = pending

    def deliver(self, batch: Sequence[Sendable]) -> None:
        """Send a batch, part by part where it is refused as a whole."""
        self.tally.selected += len(batch)
        self._grows = True
        ready, stalled = self._ready(batch)
        usual = fits = self.lease.batch_limit
        bisection = Bisection(ready, self.held, at_most=usual)
        for part in bisection.parts():
            # Before the search for a culprit begins, and before one is flagged.
            doubted = len(part) in {1, len(ready)}
            match self._send(part, doubted=doubted):
                case Accepted(refused):
                    self._flag(part, refused)
                case Refused(reason) if len(part) == 1:
                    # Ours, and the original's, name the record of a batch; here it is known.
                    self._flag(part, {part[0].id: reason.removeprefix(f"record {part[0].id}: ")})
                case TooLarge(reason) if len(part) == 1:
                    self._flag(part, {part[0].id: reason})
                    fits = usual  # this record was too large, not the batches
                case TooLarge(unsent=True):
                    self.pace.give_back(len(part))
                    bisection.split(part)
                case TooLarge():
                    fits = min(fits or len(part), (len(part) + 1) // 2)
                    bisection.split(part)
                case Refused():
                    bisection.split(part)
            if self.blocked:
                break
        self.held |= stalled
        self._grows = False
        self.tally.left += bisection.left + len(batch) - len(ready)
        if fits is not None and fits != usual:
            self._remember_limit(fits)

    def _ready(self, batch: Sequence[Sendable]) -> tuple[Sequence[Sendable], set[Any]]:
        """What of a batch may be sent, and the owners of what waits for a record that it follows."""
        if self.context.protocol.follows is None:
            return batch, set()
        ready, stalled = [], set[Any]()
        for item in batch:
            if item.owner not in stalled and (item.depends_on is None or item.depends_on in self._sent):
                ready.append(item)
            else:
                stalled.add(item.owner)
        return ready, stalled

    def _without_followers(self, batch: Sequence[Sendable]) -> Sequence[Sendable]:
        """The batch up to a record that follows one in it: that one must have arrived first."""
        if not self._follows_itself:
            return batch
        here = set[Any]()
        for at, item in enumerate(batch):
            if item.depends_on in here:
                return batch[:at]
            here.add(item.id)
        return batch

    def _send(self, part: Sequence[Sendable], *, doubted: bool) -> SendResult:
        """Send a part; a record that is alone and with which the node went away before has that counted against it."""
        limits = self.context.limits
        self.pace.wait(len(part), self.lease.lost)
        self.lease.check(self.context.engine, self.clock, limits.lease_seconds)
        try:
            return send(
                self.push,
                part,
                self.client,
                self.context.protocol,
                doubted=doubted,
                at_most=limits.max_request_bytes,
            )
        except NodeUnavailable as error:
            if error.interrupted:
                if len(part) == 1 and self.lease.next_batch is not None:
                    reason = f"the node goes away when it is sent: {error.reason}"
                    self._flag(part, {part[0].id: self.client.scrub(reason)}, answered=False)
                self.lease.next_batch = max(len(part) // SHRINK, 1)
            raise

    def _flag(self, part: Sequence[Sendable], refused: Mapping[Any, str], *, answered: bool = True) -> None:
        """Write what became of a part; the owners of refused records are held from here on."""
        now = self.clock()
        refusals = {}
        most = self.push.max_attempts or self.context.limits.max_attempts
        for record_id, reason in refused.items():
            attempts, since = self.flags.refusals.retrying.get(record_id, (0, now))
            state = state_after(attempts + 1, most=most, policy=self.push.policy)
            refusals[record_id] = Refusal(reason, attempts + 1, since, state)
        pushed = (
            [item.id for item in part if item.id not in refused] if refused else [item.id for item in part]
        )
        if answered and self._grows:
            self._grow()
        self.flags.write(pushed, refusals, now, answered=answered)
        self.tally.done += len(pushed)
        if self._follows_itself:
            if len(self._sent) > REMEMBERED:
                self._sent.clear()
            self._sent.update(pushed)
        if refusals:
            self._hold_back(part, refusals)

    def _hold_back(self, part: Sequence[Sendable], refusals: Mapping[Any, Refusal]) -> None:
        for item in part:
            refusal = refusals.get(item.id)
            if refusal is None:
                continue
            if refusal.state is not RefusalState.SKIPPED:
                self.held.add(item.owner)
            if refusal.state is RefusalState.BLOCKING:
                self.blocked = self.blocked or (str(item.id), refusal.reason)
        self.refused.update(refusals)
        aside = sum(refusal.state is not RefusalState.RETRYING for refusal in refusals.values())
        reasons = {record_id: refusal.reason for record_id, refusal in refusals.items()}
        self.tally.refuse(reasons, parked=aside)

    def _grow(self) -> None:
        """A smaller batch than usual arrived: the next one may have more records. Only batches that were sent count."""
        self._grows = False
        if self.lease.next_batch is not None:
            grown = self.lease.next_batch * GROW
            self.lease.next_batch = None if grown >= (self.push.size or 1) else grown

    def _remember_limit(self, limit: int) -> None:
        """Keep how much the node takes at once, for this run and the next ones."""
        self.lease.batch_limit = limit
        update_lane(self.context.engine, self.lease, batch_limit=limit)
        logger.info(
            "node %s takes at most %d records of %s at once",
            self.context.node.name,
            limit,
            self.context.protocol.name,
        )
