"""Push: send a lane's pending records, in order, and flag them."""

from __future__ import annotations

from contextlib import closing
from time import monotonic
from typing import Any

from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.pending_records import PendingReader
from workmesh_flows.adapters.store.protocol_tables import PushTables, push_tables
from workmesh_flows.adapters.store.push_flags import push_flags
from workmesh_flows.adapters.store.refused_records import blocking_record, forget_settled, read_refusals
from workmesh_flows.domain.protocol import Push
from workmesh_flows.domain.reports import PushReport, Tally
from workmesh_flows.errors import LaneStopped, NodeError
from workmesh_flows.operations.delivery.batches import BatchDelivery
from workmesh_flows.operations.delivery.fair_queue import SINGLES, FairQueue
from workmesh_flows.operations.delivery.lane_context import LaneContext, stop_on_errors
from workmesh_flows.operations.delivery.limits import RateLimiter, RunLimits
from workmesh_flows.operations.delivery.part_results import PartResults

UNLIMITED = RunLimits()


def push_lane(context: LaneContext, run_limits: RunLimits = UNLIMITED) -> PushReport:
    """Send the records that are pending when the lane is leased, within the limits; later records do not count.

    One batch is in flight at a time. A refused record is flagged with the reason; the other records of its owner
    wait behind it, other owners continue. Each batch is flagged in one transaction that checks the lease. Raises
    LaneBusy, LanePaused, LaneLost, or LaneStopped where the node, the database or a record that blocks the lane stops
    the run: accepted records are flagged then, the rest stays pending.
    """
    lane, clock = context.lane("push"), context.clock()
    tables = push_tables(context.service, context.protocol)
    start, tally = monotonic(), Tally()

    def report() -> PushReport:
        figures = (
            tally.selected,
            tally.succeeded,
            tally.failed,
            tally.parked,
            tally.undecided,
            max(tally.not_reached, 0),
        )
        return PushReport(lane.protocol, lane.node, *figures, monotonic() - start, tally.reasons)

    with context.lease(lane, clock) as lease:
        with stop_on_errors(context, lease, clock, tally, report):
            blocked = _blocking_record(context, tables) or _push_pending(
                context, tables, lease, clock, tally, run_limits
            )
        if blocked is not None:
            tally.stop()
            raise LaneStopped(blocked_reason(*blocked), lane=str(lane), report=report())
    tally.check(str(lane))
    return report()


def _push_pending(  # noqa: PLR0913, PLR0917 - each is one fact of the run
    context: LaneContext,
    tables: PushTables,
    lease: LaneLease,
    clock: Clock,
    tally: Tally,
    run_limits: RunLimits,
) -> tuple[str, str] | None:
    """Deliver slice by slice; return the record that blocks the lane now and the reason, where one does."""
    reader = PendingReader(context.engine, tables, context.node.name)
    revision = reader.revision()  # read before the refused records, so that no change of them is missed
    refusals = read_refusals(context.engine, tables, context.node.name)
    pending = reader.count(include_parked=not refusals.has_parked)
    if pending == 0:
        return None
    with (
        push_flags(context.engine, lease, tables, refusals) as flags,
        context.client(lease, clock) as client,
    ):
        client.before_request = reader.transactions.end
        client.ping()
        tally.not_reached = pending
        rate = RateLimiter(context.node.max_rate.get(context.service.name))
        results = PartResults(context, tables, lease, clock, tally, flags)
        results.hold_back(refusals.counted_since(context.started))
        delivery = BatchDelivery(context, tables, lease, clock, client, tally, results, rate, run_limits)
        try:
            _deliver(delivery, reader, revision)
            results.finish()
        except NodeError:
            results.stop()
            raise
        return results.blocked


def _deliver(delivery: BatchDelivery, reader: PendingReader, revision: int) -> None:
    """Send slice by slice, until all records were given or the run has reached a limit."""
    context, tally, results = delivery.context, delivery.tally, delivery.results
    push, flags = delivery.tables.push, results.flags

    def include_parked() -> bool:
        return not flags.refusals.has_parked

    def restart() -> None:
        results.blocked = _blocking_record(context, delivery.tables)  # it may have come with its entity
        flags.reload_refusals()
        delivery.restart(reader.count(include_parked=include_parked()))

    most = delivery.run_limits.records
    total = tally.not_reached if most is None else min(tally.not_reached, most)
    size = batch_size(context, push)

    def refused_owners() -> set[Any]:
        return {record.owner for record in flags.refusals.retrying.values()}

    queue = FairQueue(
        reader, size if push.size else SINGLES, include_parked, restart, revision, refused_owners
    )
    with closing(iter(queue)) as slices:
        for records in slices:
            if results.blocked is not None:
                return
            for batch in delivery.batches(records, size):
                delivery.deliver(batch)
                context.progress(min(tally.selected, total), total)
            if delivery.is_finished:
                return
    tally.not_reached = 0  # records that were not reached were parked or deleted meanwhile


def batch_size(context: LaneContext, push: Push) -> int:
    """Records a request: as declared, limited by the settings, by the node, and by the node's records a second."""
    if push.size is None:
        return 1
    service, most = context.service.name, min(push.size, context.limits.max_batch or push.size)
    most = min(most, context.node.max_batch.get(service, most))
    return max(int(min(most, context.node.max_rate.get(service, most))), 1)


def _blocking_record(context: LaneContext, tables: PushTables) -> tuple[str, str] | None:
    """The record that blocks the lane and the reason, after a check that it is still pending."""
    if blocking_record(context.engine, tables, context.node.name) is None:
        return None
    forget_settled(context.engine, tables)
    return blocking_record(context.engine, tables, context.node.name)


def blocked_reason(record: str, reason: str) -> str:
    """Why a lane stops that a record blocks."""
    return (
        f"record {record} blocks it: {reason}. It was refused for the last time; fix and replay it, or skip it "
        "(workmesh failed lists it)"
    )
