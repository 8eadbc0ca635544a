"""Push: send a lane's pending records, in order, and flag them."""

from __future__ import annotations

from contextlib import closing
from time import monotonic

from workmesh_flows.adapters.node_http.client import Sender, node_client
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.push_flags import push_flags
from workmesh_flows.adapters.store.records import Reader, reading
from workmesh_flows.adapters.store.refused_records import blocking_record, forget_settled
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.protocol import Push
from workmesh_flows.domain.reports import PushReport, Tally
from workmesh_flows.errors import LaneStopped
from workmesh_flows.operations.delivery.batches import BatchDelivery
from workmesh_flows.operations.delivery.fair_queue import SINGLES, FairQueue
from workmesh_flows.operations.delivery.lane_context import LaneContext, stop_on_errors
from workmesh_flows.operations.delivery.limits import RateLimiter, RunLimits

UNBOUNDED = RunLimits()


def push_lane(context: LaneContext, bounds: RunLimits = UNBOUNDED) -> PushReport:
    """Send what is pending in a lane when it is taken, within bounds: records that come meanwhile do not count.

    One batch is in flight at a time. A record that is refused is flagged with the reason; the rest of its owner's
    records wait behind it, other owners go on. Each batch is flagged in one transaction that checks the lane.
    Raises LaneBusy, LanePaused, LaneLost, or LaneStopped when the node, the database or a record that blocks the
    lane stops the work: what was accepted is flagged then, the rest stays pending.
    """
    lane = Lane(context.service.name, context.protocol.name, context.node.name, "push")
    clock = context.clock()
    began, tally = monotonic(), Tally()

    def report() -> PushReport:
        figures = (tally.selected, tally.done, tally.bad, tally.parked, tally.left, max(tally.unread, 0))
        return PushReport(lane.protocol, lane.node, *figures, monotonic() - began, tally.reasons)

    with context.held(lane, clock) as lease:
        with stop_on_errors(context, lease, clock, tally, report):
            blocked = _blocked(context) or _push_pending(context, lease, clock, tally, bounds)
        if blocked is not None:
            tally.stop()
            raise LaneStopped(_told(*blocked), lane=str(lane), report=report())
    tally.check(str(lane))
    return report()


def _push_pending(
    context: LaneContext, lease: LaneLease, clock: Clock, tally: Tally, bounds: RunLimits
) -> tuple[str, str] | None:
    """Deliver turn by turn; return the record that blocks the lane now, and why, where one does."""
    push = context.protocol.push
    assert push is not None  # noqa: S101 - a push lane exists only for a declared push
    sender = Sender(f"{context.service.name}/{context.protocol.name}", lease.epoch, clock)
    with reading(context.engine, context.service, context.protocol, context.node.name) as reader:
        revision = reader.revision()  # before what is set aside is read: no change of it is missed
        with (
            push_flags(context.engine, lease, context.service, context.protocol) as flags,
            node_client(context.node, context.limits, sender=sender) as client,
        ):
            pending = reader.count_pending(aside=flags.refusals.has_parked)
            if pending == 0:
                return None
            client.ping()
            tally.unread = pending
            pace = RateLimiter(context.node.max_rate.get(context.service.name))
            delivery = BatchDelivery(context, push, lease, clock, client, tally, flags, pace, bounds)
            _deliver(delivery, reader, revision)
            return delivery.blocked


def _deliver(delivery: BatchDelivery, reader: Reader, revision: int) -> None:
    """Turn by turn, until the lane or the run is at its end."""
    context, tally, flags = delivery.context, delivery.tally, delivery.flags

    def is_aside() -> bool:
        return flags.refusals.has_parked

    def again() -> None:
        delivery.blocked = _blocked(context)  # one that blocks may have come with its entity
        flags.reload_refusals()
        delivery.begin_again(reader.count_pending(aside=is_aside()))

    most = delivery.bounds.records
    total = tally.unread if most is None else min(tally.unread, most)
    size = batch_size(context, delivery.push)
    rounds = FairQueue(
        reader, delivery.push, size if delivery.push.size else SINGLES, is_aside, again, revision
    )
    with closing(iter(rounds)) as turns:
        for records in turns:
            if delivery.blocked is not None:
                return
            for batch in delivery.batches(records, size):
                delivery.deliver(batch)
                context.progress(min(tally.selected, total), total)
            if delivery.over:
                return
    tally.unread = 0  # what is unread now was set aside or deleted meanwhile


def batch_size(context: LaneContext, push: Push) -> int:
    """Records a request: as declared, as settings and the node's block allow, and no more than it may be sent in a second."""
    if push.size is None:
        return 1
    service, most = context.service.name, min(push.size, context.limits.max_batch or push.size)
    most = min(most, context.node.max_batch.get(service, most))
    return max(int(min(most, context.node.max_rate.get(service, most))), 1)


def _blocked(context: LaneContext) -> tuple[str, str] | None:
    asked = (context.engine, context.service, context.protocol)
    if blocking_record(*asked, context.node.name) is None:
        return None
    forget_settled(*asked)
    return blocking_record(*asked, context.node.name)


def _told(record: str, reason: str) -> str:
    return (
        f"record {record} blocks it: {reason}. It was refused for the last time; mend and replay it, or skip it "
        "(workmesh parked lists it)"
    )
