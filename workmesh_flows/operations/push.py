"""Push: send a lane's pending records, in order, and flag them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from workmesh_flows.adapters.database import Clock
from workmesh_flows.adapters.flagging import flag_pushed
from workmesh_flows.adapters.lanes import Hold, Lane, held_lane, note_on_lane
from workmesh_flows.adapters.node_client import HttpNodeClient, Sender, node_client
from workmesh_flows.adapters.push_flags import AtOnce, at_once
from workmesh_flows.adapters.records import Page, Reader, reading
from workmesh_flows.domain.protocol import Push
from workmesh_flows.domain.reports import PushReport, Tally
from workmesh_flows.operations.sending import Accepted, Refused, TooLarge, send
from workmesh_flows.operations.work import Work, page_of, stops_told
from workmesh_flows.planning.delivery import Bisection, Sendable, push_times

logger = logging.getLogger(__name__)


def push_lane(work: Work, *, limit: int | None = None) -> PushReport:
    """Send what is pending in a lane when it is taken, at most ``limit`` records: those that wait do not count.

    One batch is in flight at a time. A record that is refused is flagged with the reason; the rest of its owner's
    records wait behind it, other owners go on. Each batch is flagged in one transaction that checks the lane.
    Raises LaneBusy, LaneWaiting, LaneLost, or LaneStopped when the node or the database stops the work: what was
    accepted is flagged then, the rest stays pending.
    """
    lane = Lane(work.service.name, work.protocol.name, work.node.name, "push")
    clock = work.clock()
    began, tally = monotonic(), Tally()

    def report() -> PushReport:
        figures = (tally.selected, tally.done, tally.bad, tally.left)
        return PushReport(lane.protocol, lane.node, *figures, monotonic() - began, tally.reasons)

    sender = held_lane(
        work.engine, lane, holder=work.holder, clock=clock, lease_seconds=work.limits.lease_seconds
    )
    with sender as hold, stops_told(work, hold, tally, report):
        _push_pending(work, hold, clock, tally, limit)
    tally.check(str(lane))
    return report()


def _push_pending(work: Work, hold: Hold, clock: Clock, tally: Tally, limit: int | None) -> None:
    push = work.protocol.push
    assert push is not None  # noqa: S101 - a push lane exists only for a declared push
    size = push.size or 1
    sender = Sender(f"{work.service.name}/{work.protocol.name}", hold.epoch)
    with (
        reading(work.engine, work.service, work.protocol, work.node.name) as reader,
        node_client(work.node, work.limits, sender=sender) as client,
        at_once(work.engine, hold, work.protocol) as fast,
    ):
        pending = reader.count_pending()
        total = pending if limit is None else min(pending, limit)
        if total == 0:
            return
        client.ping()
        delivery = _Delivery(work, push, hold, clock, client, tally, reader, fast, unread=pending, limit=limit)
        for page in reader.pending(push, size=page_of(size), again=delivery.begin_again):
            for batch in delivery.batches(page, size):
                delivery.deliver(batch)
                work.progress(min(tally.selected, total), total)
            if delivery.over:
                return


@dataclass(slots=True)
class _Delivery:
    """Batches on their way to one node; ``held`` are the owners whose records wait behind a refused one.

    ``unread`` are the records that the run may still look at: those that came after it began are the next run's, so
    that each run ends.
    """

    work: Work
    push: Push
    hold: Hold
    clock: Clock
    client: HttpNodeClient
    tally: Tally
    reader: Reader
    fast: AtOnce | None
    unread: int
    limit: int | None
    held: set[Any] = field(default_factory=set)
    refused: set[Any] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Whether the run has done what it was to do."""
        return self.unread <= 0 or self.tally.decided == self.limit

    def batches(self, page: Page, size: int) -> Iterator[Page]:
        """The page in batches, without what was refused before it was read again."""
        fresh = [item for item in page if item.id not in self.refused]
        self.unread -= len(page) - len(fresh)
        at = 0
        while at < len(fresh) and not self.over:
            allowed = size if self.limit is None else min(size, self.limit - self.tally.decided)
            batch = fresh[at : at + min(allowed, self.unread)]
            at += len(batch)
            self.unread -= len(batch)
            yield batch

    def begin_again(self) -> None:
        """All that is pending will be read once more, also what was counted as left."""
        self.tally.selected, self.tally.left = self.tally.decided, 0
        self.unread = self.reader.count_pending()

    def deliver(self, batch: Sequence[Sendable]) -> None:
        """Send a batch, part by part where it is refused as a whole."""
        self.tally.selected += len(batch)
        usual = fits = self.hold.batch_limit
        bisection = Bisection(batch, self.held, at_most=usual)
        for part in bisection.parts():
            # Before the search for a culprit begins, and before one is flagged.
            doubted = len(part) in {1, len(batch)}
            match send(self.push, part, self.client, self.work.protocol, doubted=doubted):
                case Accepted(refused):
                    self.flag(part, refused)
                case Refused(reason) if len(part) == 1:
                    self.flag(part, {part[0].id: reason})
                case TooLarge(reason) if len(part) == 1:
                    self.flag(part, {part[0].id: reason})
                    fits = usual  # this record was too large, not the batches
                case Refused():
                    bisection.split(part)
                case TooLarge():
                    fits = min(fits or len(part), (len(part) + 1) // 2)
                    bisection.split(part)
        self.tally.left += bisection.left
        if fits is not None and fits != usual:
            self.remember_limit(fits)

    def flag(self, part: Sequence[Sendable], refused: Mapping[Any, str]) -> None:
        """Write what became of a part; the owners of refused records are held from here on."""
        now = self.clock()
        pushed = [item.id for item in part if item.id not in refused]
        times = push_times(now, self.hold.last_push_time, len(pushed))
        if refused or self.fast is None or self.hold.lost.is_set() or not self.fast.flag(pushed, times):
            flag_pushed(
                self.work.engine,
                self.hold,
                self.work.protocol,
                pushed=pushed,
                times=times,
                refused=refused,
                time=now,
            )
        self.hold.last_push_time = times[-1] if times else self.hold.last_push_time
        self.held.update(item.owner for item in part if item.id in refused)
        self.refused.update(refused)
        self.tally.done += len(pushed)
        self.tally.refuse(refused)

    def remember_limit(self, limit: int) -> None:
        """Keep how much the node takes at once, for this run and the next ones."""
        self.hold.batch_limit = limit
        note_on_lane(self.work.engine, self.hold, batch_limit=limit)
        logger.info(
            "node %s takes at most %d records of %s at once",
            self.work.node.name,
            limit,
            self.work.protocol.name,
        )
