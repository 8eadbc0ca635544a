"""Pull: collect the results of what a node has processed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from time import monotonic, sleep
from typing import Any

from workmesh_flows.adapters.node_http.client import HttpNodeClient, Sender, node_client
from workmesh_flows.adapters.store.breaker import save_recovery
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.former_pushes import (
    forget_former_pushes,
    former_pages,
    former_push_time,
    remember_latest,
    remembered_time,
)
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.pull_flags import flag_pulled
from workmesh_flows.adapters.store.records import Page, Reader, reading
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.protocol import Pull
from workmesh_flows.domain.reports import PullReport, Tally
from workmesh_flows.errors import NodeMisconfigured, NodeUnavailable, RecordRefused, RequestCrashed
from workmesh_flows.operations.delivery.lane_context import LaneContext, page_size, stop_on_errors
from workmesh_flows.operations.delivery.results import fetch

LOOKS = 5
LOOK_SECONDS = 0.2
"""A node may finish a record before the push that sent it has flagged it: look again so often, so long."""
NEVER = datetime.min.replace(tzinfo=UTC)
"""Before any push."""


def pull_lane(context: LaneContext) -> PullReport:
    """Collect the results of all records of a lane up to the latest one that the node has processed.

    Results and flags of a batch are written in one transaction: a crash between fetching and writing only fetches
    again. Raises LaneBusy, LanePaused, LaneLost, or LaneStopped when the node or the database stops the work; a
    node that names a record which was never sent to it is misconfigured, and nothing is pulled.
    """
    lane = Lane(context.service.name, context.protocol.name, context.node.name, "pull")
    clock = context.clock()
    began, tally, notes = monotonic(), Tally(), list[str]()

    def report() -> PullReport:
        figures = (tally.selected, tally.done, tally.bad, tally.left)
        seconds = monotonic() - began
        return PullReport(lane.protocol, lane.node, *figures, seconds, tally.reasons, "; ".join(notes))

    with context.held(lane, clock) as lease, stop_on_errors(context, lease, clock, tally, report):
        collect_processed(context, lease, clock, tally, notes)
    tally.check(str(lane))
    return report()


def collect_processed(
    context: LaneContext, lease: LaneLease, clock: Clock, tally: Tally, notes: list[str]
) -> None:
    """Collect what the node has processed, in a lane that is held."""
    pull = context.protocol.pull
    assert pull is not None  # noqa: S101 - a pull lane exists only for a declared pull
    sender = Sender(f"{context.service.name}/{context.protocol.name}", lease.epoch, clock)
    with (
        reading(context.engine, context.service, context.protocol, context.node.name) as reader,
        node_client(context.node, context.limits, sender=sender) as client,
    ):
        latest, before = _latest(client, pull), lease.latest
        save_recovery(context.engine, lease)
        if latest is None:
            notes.append("the node has processed nothing yet")
            return
        record_id = _named(context, latest)
        upto = _pushed_at(context, reader, lease, record_id)
        if upto is None:
            note = f"record {latest} is processed but not flagged as pushed"
            if not isinstance(pull.fetch, Get):
                notes.append(f"{note}; push first")
                return
            notes.append(note)
            upto = NEVER  # it may be set aside, and never be flagged: what was pushed is asked for without it
        total = reader.count_pullable(upto=upto)
        collection = _Collection(context, pull, lease, clock, client, tally)
        for page in chain(
            reader.pullable(pull, upto=upto, size=page_size(pull.page)),
            _returned(context, reader, lease, upto),
        ):
            for start in range(0, len(page), pull.page):
                collection.collect(page[start : start + pull.page])
                context.progress(tally.done, max(total, tally.selected))
        again = upto == NEVER or (before is not None and before == lease.latest)
        if again and isinstance(pull.fetch, Get):
            collection.collect_sent_again(reader, upto)
        # Only a node that is asked by id can say of a record that it is not ready.
        kept = None if isinstance(pull.fetch, Get) else record_id
        forget_former_pushes(context.engine, lease.lane, context.protocol, upto=upto, latest=kept)


def _returned(context: LaneContext, reader: Reader, lease: LaneLease, upto: datetime) -> Iterator[Page]:
    """Records that the node has processed, that left it with their entity and came back: pushed later than they were.

    A node that knows a record by its id does not process it twice, so it would never name them again.
    """
    pull = context.protocol.pull
    assert pull is not None  # noqa: S101 - a pull lane exists only for a declared pull
    for ids in former_pages(context.engine, lease.lane, context.protocol, upto=upto):
        if page := reader.returned(pull, ids, after=upto):
            yield page


def _latest(client: HttpNodeClient, pull: Pull) -> Any:  # noqa: ANN401 - an id as the node says it
    """The id of the latest record that the node has processed; the first request of a pull, so the key's test too."""
    try:
        return client.post(pull.status, {})
    except RecordRefused as refusal:
        raise NodeMisconfigured(f"{pull.status} is refused: {refusal.reason}", node=client.name) from refusal
    except RequestCrashed as crash:
        raise NodeUnavailable(crash.reason, node=client.name) from crash


def _named(context: LaneContext, latest: Any) -> Any:  # noqa: ANN401 - any JSON in, any key out
    try:
        return parse_key(column_of(context.protocol.id), latest)
    except ValueError as error:
        reason = f"its status names {str(latest)[:80]!r}, which is no id of {context.protocol.name}"
        raise NodeMisconfigured(reason, node=context.node.name) from error


def _pushed_at(context: LaneContext, reader: Reader, lease: LaneLease, record_id: Any) -> datetime | None:  # noqa: ANN401 - any key
    """When the latest processed record was pushed; None where the push that sent it has not flagged it yet.

    A record that has left the node since, with its entity, is known from the hand-over, and one that is no more from
    the last pull. NEVER is when it left the node and no push to it is known: that one's answer was lost.
    """
    before = former_push_time(context.engine, lease.lane, record_id)
    if before is not None:
        remember_latest(context.engine, lease, record_id, before)
        return before
    pull = context.protocol.pull
    assert pull is not None  # noqa: S101 - a pull lane exists only for a declared pull
    remembered = remembered_time(lease, record_id)
    for _ in range(LOOKS):
        found = reader.pushed_at(record_id)
        if remembered is not None and (found is None or not found[1]):
            return remembered
        if found is None and isinstance(pull.fetch, Get) and reader.has_left(record_id):
            return NEVER
        if found is None:
            reason = f"its status names record {str(record_id)[:80]!r}, which is not one of those sent to it"
            raise NodeMisconfigured(reason, node=context.node.name)
        time, pushed = found
        if pushed and time is not None:
            remember_latest(context.engine, lease, record_id, time)
            return time
        sleep(LOOK_SECONDS)
    return None


@dataclass(slots=True)
class _Collection:
    """Results on their way back from one node."""

    context: LaneContext
    pull: Pull
    lease: LaneLease
    clock: Clock
    client: HttpNodeClient
    tally: Tally

    def collect_sent_again(self, reader: Reader, named: datetime) -> None:
        """What the node had before the record that it names, and was flagged behind that one.

        So it is with records whose answer was lost, or whose sender was killed, where others went before them when
        they were sent again: the node does not process them twice, and never names them. It is asked for them where
        it names the same record as last time, or one of which no push is known, a batch at a time, as long as it
        has results.
        """
        for page in reader.pullable(self.pull, behind=named, upto=self.clock(), size=self.pull.page):
            if not self.collect(page, sure=False):
                return

    def collect(self, batch: Page, *, sure: bool = True) -> int:
        """Fetch the results of a batch of records, and write them with the flags; return how many there were.

        Where it is not ``sure`` that the node has processed them, those that it has not do not count.
        """
        self.lease.check(self.context.engine, self.clock, self.context.limits.lease_seconds)
        results = fetch(self.pull, batch, self.client, self.context.protocol)
        selected = len(batch) if sure else len(results)
        self.tally.selected += selected
        failed = {key: result for key, result in results.items() if isinstance(result, str)}
        if results:
            failed |= flag_pulled(
                self.context.engine, self.lease, self.context.protocol, results, self.clock()
            )
        self.tally.refuse(failed)
        self.tally.done += len(results) - len(failed)
        self.tally.left += selected - len(results)
        return len(results)
