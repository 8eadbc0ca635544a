"""Pull: request the results of the records that a node has processed, and what it could not process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from time import monotonic

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.breaker import save_recovery
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.former_pushes import forget_former_pushes, former_pages
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PullTables, pull_tables
from workmesh_flows.adapters.store.pull_flags import flag_pulled
from workmesh_flows.adapters.store.pullable_records import PullableReader, reading_pullable
from workmesh_flows.adapters.store.record_pages import Page
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.reports import PullReport, Tally
from workmesh_flows.operations.delivery.failures import read_failures
from workmesh_flows.operations.delivery.lane_context import LaneContext, page_size, stop_on_errors
from workmesh_flows.operations.delivery.latest_processed import (
    NEVER,
    ask_latest,
    latest_id,
    latest_push_time,
)
from workmesh_flows.operations.delivery.missing import handle_missing
from workmesh_flows.operations.delivery.result_requests import ResultRequests
from workmesh_flows.operations.delivery.results import fetch
from workmesh_flows.operations.delivery.unreadable_results import UnreadableResults
from workmesh_flows.planning.bisection import Unreadable


def pull_lane(context: LaneContext) -> PullReport:
    """Collect the results of all records of a lane up to the latest one that the node has processed.

    Results and flags of a batch are written in one transaction: after a crash between fetching and writing they are
    only fetched again. Raises LaneBusy, LanePaused, LaneLost, or LaneStopped where the node or the database stops the
    run; a node that names a record which was never sent to it is misconfigured, and nothing is pulled. Where the
    protocol has no pull, only the node's failures are read.
    """
    lane, clock = context.lane("pull"), context.clock()
    start, tally, notes = monotonic(), Tally(), list[str]()

    def report() -> PullReport:
        figures = (tally.selected, tally.succeeded, tally.failed, tally.undecided)
        seconds = monotonic() - start
        return PullReport(lane.protocol, lane.node, *figures, seconds, tally.reasons, "; ".join(notes))

    with (
        context.lease(lane, clock) as lease,
        stop_on_errors(context, lease, clock, tally, report),
        context.client(lease, clock) as client,
    ):
        if context.protocol.pull is not None:
            collect_processed(context, lease, clock, client, tally, notes)
        read_failures(context, lease, clock, client, tally)
        save_recovery(context.engine, lease)
    tally.check(str(lane))
    return report()


def collect_processed(  # noqa: PLR0913, PLR0917 - each is one fact of the run
    context: LaneContext,
    lease: LaneLease,
    clock: Clock,
    client: HttpNodeClient,
    tally: Tally,
    notes: list[str],
) -> None:
    """Collect what the node has processed, in a leased lane; ``notes`` receives sentences for the report."""
    tables = pull_tables(context.service, context.protocol)
    size, by_id = tables.pull.page, isinstance(tables.pull.fetch, Get)
    with reading_pullable(context.engine, tables, context.node.name) as reader:
        client.before_request = reader.transactions.end
        requests = ResultRequests(context, tables, lease, clock, client)
        unreadable = UnreadableResults(context, tables)
        collection = _Collection(context, tables, lease, clock, requests, tally, unreadable)
        ask = partial(collection.collect, certain=False) if by_id else None
        latest, before = ask_latest(client, tables), lease.latest
        save_recovery(context.engine, lease)
        if latest is None:
            notes.append("the node has processed nothing yet")
            notes += handle_missing(context, tables, lease, NEVER, ask)
            return
        record_id = latest_id(context, tables, latest)
        upto = latest_push_time(context, tables, reader, lease, record_id)
        if upto is None:
            note = f"record {latest} is processed but not flagged as pushed"
            if not by_id:
                notes.append(f"{note}; push first")
                return
            notes.append(note)
            upto = (
                NEVER  # a parked record is never flagged: results of the pushed ones are asked for without it
            )
        total = reader.count(upto=upto)
        for page in chain(
            reader.pages(upto=upto, size=page_size(size)),
            _returned(context, tables, reader, lease, upto),
        ):
            for begin in range(0, len(page), size):
                collection.collect(page[begin : begin + size])
                context.progress(tally.succeeded, max(total, tally.selected))
        collection.finish()
        no_progress = upto == NEVER or (before is not None and before == lease.latest)
        if no_progress and by_id:
            collection.collect_sent_again(reader, upto)
        # Only a node that is asked by id can answer that a record is not ready.
        forget_former_pushes(
            context.engine, lease.lane, tables, upto=upto, latest=None if by_id else record_id
        )
        notes += handle_missing(context, tables, lease, upto, ask)


def _returned(
    context: LaneContext, tables: PullTables, reader: PullableReader, lease: LaneLease, upto: datetime
) -> Iterator[Page]:
    """Records that the node processed before they left it with their entity and returned, pushed again since.

    A node that recognizes a record by its id does not process it twice, so it would never name them again.
    """
    for ids in former_pages(context.engine, lease.lane, tables, upto=upto):
        if page := reader.returned(ids, after=upto):
            yield page


@dataclass(slots=True)
class _Collection:
    """The collection of results from one node in one run."""

    context: LaneContext
    tables: PullTables
    lease: LaneLease
    clock: Clock
    requests: ResultRequests
    tally: Tally
    unreadable: UnreadableResults

    def finish(self) -> None:
        """Write the records as failed for which the node does not answer, or not readably, although it does for others.

        Raises NodeUnavailable where it is probably the node's fault.
        """
        lost = self.requests.finish()
        self.unreadable.require_readable()
        if failed := lost | self.unreadable.release():
            reasons = {record_id: self.requests.client.scrub(reason) for record_id, reason in failed.items()}
            flag_pulled(self.context.engine, self.lease, self.tables, reasons, self.clock())
            self.tally.undecided -= len(reasons)
            self.tally.add_failed(reasons)

    def collect_sent_again(self, reader: PullableReader, latest: datetime) -> None:
        """Collect records that the node has, but whose push time lies after that of the record that it names.

        This happens where the answer to a push was lost, or the sender was killed, and other records were sent before
        the repeated ones: the node does not process them twice, and never names them. They are asked for where the
        node names the same record as last time, or one of which no push is known, a batch at a time, as long as the
        node has results.
        """
        for page in reader.pages(after=latest, upto=self.clock(), size=self.tables.pull.page):
            if not self.collect(page, certain=False):
                return

    def collect(self, batch: Page, *, certain: bool = True) -> int:
        """Request the results of a batch of records and write them with the flags; return the number of results.

        Where it is not ``certain`` that the node has processed the records, those without a result do not count. A
        record that cannot be read, and that a pull function needs, has failed.
        """
        self.lease.check(self.context.engine, self.clock, self.context.limits.lease_seconds)
        readable = [item for item in batch if type(item.record) is not Unreadable]
        results = fetch(self.requests, readable, certain=certain) if readable else {}
        if certain:
            self.tally.selected += len(batch)  # they count also where the node is at fault
        results = self.unreadable.judge(readable, results, certain=certain)
        results |= {item.id: item.record.reason for item in batch if type(item.record) is Unreadable}
        if certain:
            self.tally.undecided += len(batch) - len(results)
        else:
            self.tally.selected += len(results)
        failed = {key: result for key, result in results.items() if isinstance(result, str)}
        if results:
            failed |= flag_pulled(self.context.engine, self.lease, self.tables, results, self.clock())
        self.tally.add_failed(failed)
        self.tally.succeeded += len(results) - len(failed)
        return len(results)
