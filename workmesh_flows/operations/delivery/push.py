"""Push: send a lane's pending records, in order, and flag them."""

from __future__ import annotations

from contextlib import closing
from time import monotonic

from workmesh_flows.adapters.node_http.client import Sender, node_client
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.lanes import Hold
from workmesh_flows.adapters.store.push_flags import push_flags
from workmesh_flows.adapters.store.records import Reader, reading
from workmesh_flows.adapters.store.refused_records import blocking_record, forget_settled
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.protocol import Push
from workmesh_flows.domain.reports import PushReport, Tally
from workmesh_flows.errors import LaneStopped
from workmesh_flows.operations.delivery.batches import Delivery
from workmesh_flows.operations.delivery.fair_queue import SINGLES, Rounds
from workmesh_flows.operations.delivery.lane_context import Work, stops_told
from workmesh_flows.operations.delivery.limits import Bounds, Pace

UNBOUNDED = Bounds()


def push_lane(work: Work, bounds: Bounds = UNBOUNDED) -> PushReport:
    """Send what is pending in a lane when it is taken, within bounds: records that come meanwhile do not count.

    One batch is in flight at a time. A record that is refused is flagged with the reason; the rest of its owner's
    records wait behind it, other owners go on. Each batch is flagged in one transaction that checks the lane.
    Raises LaneBusy, LaneWaiting, LaneLost, or LaneStopped when the node, the database or a record that blocks the
    lane stops the work: what was accepted is flagged then, the rest stays pending.
    """
    lane = Lane(work.service.name, work.protocol.name, work.node.name, "push")
    clock = work.clock()
    began, tally = monotonic(), Tally()

    def report() -> PushReport:
        figures = (tally.selected, tally.done, tally.bad, tally.parked, tally.left, max(tally.unread, 0))
        return PushReport(lane.protocol, lane.node, *figures, monotonic() - began, tally.reasons)

    with work.held(lane, clock) as hold:
        with stops_told(work, hold, clock, tally, report):
            blocked = _blocked(work) or _push_pending(work, hold, clock, tally, bounds)
        if blocked is not None:
            tally.stop()
            raise LaneStopped(_told(*blocked), lane=str(lane), report=report())
    tally.check(str(lane))
    return report()


def _push_pending(
    work: Work, hold: Hold, clock: Clock, tally: Tally, bounds: Bounds
) -> tuple[str, str] | None:
    """Deliver turn by turn; return the record that blocks the lane now, and why, where one does."""
    push = work.protocol.push
    assert push is not None  # noqa: S101 - a push lane exists only for a declared push
    sender = Sender(f"{work.service.name}/{work.protocol.name}", hold.epoch, clock)
    with reading(work.engine, work.service, work.protocol, work.node.name) as reader:
        revision = reader.revision()  # before what is set aside is read: no change of it is missed
        with (
            push_flags(work.engine, hold, work.service, work.protocol) as flags,
            node_client(work.node, work.limits, sender=sender) as client,
        ):
            pending = reader.count_pending(aside=flags.refusals.set_aside)
            if pending == 0:
                return None
            client.ping()
            tally.unread = pending
            pace = Pace(work.node.max_rate.get(work.service.name))
            delivery = Delivery(work, push, hold, clock, client, tally, flags, pace, bounds)
            _deliver(delivery, reader, revision)
            return delivery.blocked


def _deliver(delivery: Delivery, reader: Reader, revision: int) -> None:
    """Turn by turn, until the lane or the run is at its end."""
    work, tally, flags = delivery.work, delivery.tally, delivery.flags

    def is_aside() -> bool:
        return flags.refusals.set_aside

    def again() -> None:
        delivery.blocked = _blocked(work)  # one that blocks may have come with its entity
        flags.know_anew()
        delivery.begin_again(reader.count_pending(aside=is_aside()))

    most = delivery.bounds.records
    total = tally.unread if most is None else min(tally.unread, most)
    size = batch_size(work, delivery.push)
    rounds = Rounds(reader, delivery.push, size if delivery.push.size else SINGLES, is_aside, again, revision)
    with closing(iter(rounds)) as turns:
        for records in turns:
            if delivery.blocked is not None:
                return
            for batch in delivery.batches(records, size):
                delivery.deliver(batch)
                work.progress(min(tally.selected, total), total)
            if delivery.over:
                return
    tally.unread = 0  # what is unread now was set aside or deleted meanwhile


def batch_size(work: Work, push: Push) -> int:
    """Records a request: as declared, as settings and the node's block allow, and no more than it may be sent in a second."""
    if push.size is None:
        return 1
    service, most = work.service.name, min(push.size, work.limits.max_batch or push.size)
    most = min(most, work.node.max_batch.get(service, most))
    return max(int(min(most, work.node.max_rate.get(service, most))), 1)


def _blocked(work: Work) -> tuple[str, str] | None:
    asked = (work.engine, work.service, work.protocol)
    if blocking_record(*asked, work.node.name) is None:
        return None
    forget_settled(*asked)
    return blocking_record(*asked, work.node.name)


def _told(record: str, reason: str) -> str:
    return (
        f"record {record} blocks it: {reason}. It was refused for the last time; mend and replay it, or skip it "
        "(workmesh parked lists it)"
    )
