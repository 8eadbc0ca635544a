"""Pull: collect the results of what a node has processed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from time import monotonic, sleep
from typing import Any

from workmesh_flows.adapters.node_http.client import HttpNodeClient, Sender, node_client
from workmesh_flows.adapters.store.breaker import note_recovery
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.former_pushes import (
    forget_former_pushes,
    former_pages,
    former_push_time,
    remember_latest,
    remembered_time,
)
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.lanes import Hold
from workmesh_flows.adapters.store.pull_flags import flag_pulled
from workmesh_flows.adapters.store.records import Page, Reader, reading
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.protocol import Pull
from workmesh_flows.domain.reports import PullReport, Tally
from workmesh_flows.errors import NodeMisconfigured, NodeUnavailable, RecordRefused, RequestCrashed
from workmesh_flows.operations.delivery.lane_context import Work, page_of, stops_told
from workmesh_flows.operations.delivery.results import fetch

LOOKS = 5
LOOK_SECONDS = 0.2
"""A node may finish a record before the push that sent it has flagged it: look again so often, so long."""
NEVER = datetime.min.replace(tzinfo=UTC)
"""Before any push."""


def pull_lane(work: Work) -> PullReport:
    """Collect the results of all records of a lane up to the latest one that the node has processed.

    Results and flags of a batch are written in one transaction: a crash between fetching and writing only fetches
    again. Raises LaneBusy, LaneWaiting, LaneLost, or LaneStopped when the node or the database stops the work; a
    node that names a record which was never sent to it is misconfigured, and nothing is pulled.
    """
    lane = Lane(work.service.name, work.protocol.name, work.node.name, "pull")
    clock = work.clock()
    began, tally, notes = monotonic(), Tally(), list[str]()

    def report() -> PullReport:
        figures = (tally.selected, tally.done, tally.bad, tally.left)
        seconds = monotonic() - began
        return PullReport(lane.protocol, lane.node, *figures, seconds, tally.reasons, "; ".join(notes))

    with work.held(lane, clock) as hold, stops_told(work, hold, clock, tally, report):
        collect_processed(work, hold, clock, tally, notes)
    tally.check(str(lane))
    return report()


def collect_processed(work: Work, hold: Hold, clock: Clock, tally: Tally, notes: list[str]) -> None:
    """Collect what the node has processed, in a lane that is held."""
    pull = work.protocol.pull
    assert pull is not None  # noqa: S101 - a pull lane exists only for a declared pull
    sender = Sender(f"{work.service.name}/{work.protocol.name}", hold.epoch, clock)
    with (
        reading(work.engine, work.service, work.protocol, work.node.name) as reader,
        node_client(work.node, work.limits, sender=sender) as client,
    ):
        latest, before = _latest(client, pull), hold.latest
        note_recovery(work.engine, hold)
        if latest is None:
            notes.append("the node has processed nothing yet")
            return
        record_id = _named(work, latest)
        upto = _pushed_at(work, reader, hold, record_id)
        if upto is None:
            note = f"record {latest} is processed but not flagged as pushed"
            if not isinstance(pull.fetch, Get):
                notes.append(f"{note}; push first")
                return
            notes.append(note)
            upto = NEVER  # it may be set aside, and never be flagged: what was pushed is asked for without it
        total = reader.count_pullable(upto=upto)
        collection = _Collection(work, pull, hold, clock, client, tally)
        for page in chain(
            reader.pullable(pull, upto=upto, size=page_of(pull.page)), _returned(work, reader, hold, upto)
        ):
            for start in range(0, len(page), pull.page):
                collection.collect(page[start : start + pull.page])
                work.progress(tally.done, max(total, tally.selected))
        again = upto == NEVER or (before is not None and before == hold.latest)
        if again and isinstance(pull.fetch, Get):
            collection.collect_sent_again(reader, upto)
        # Only a node that is asked by id can say of a record that it is not ready.
        kept = None if isinstance(pull.fetch, Get) else record_id
        forget_former_pushes(work.engine, hold.lane, work.protocol, upto=upto, latest=kept)


def _returned(work: Work, reader: Reader, hold: Hold, upto: datetime) -> Iterator[Page]:
    """Records that the node has processed, that left it with their entity and came back: pushed later than they were.

    A node that knows a record by its id does not process it twice, so it would never name them again.
    """
    pull = work.protocol.pull
    assert pull is not None  # noqa: S101 - a pull lane exists only for a declared pull
    for ids in former_pages(work.engine, hold.lane, work.protocol, upto=upto):
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


def _named(work: Work, latest: Any) -> Any:  # noqa: ANN401 - any JSON in, any key out
    try:
        return parse_key(column_of(work.protocol.id), latest)
    except ValueError as error:
        reason = f"its status names {str(latest)[:80]!r}, which is no id of {work.protocol.name}"
        raise NodeMisconfigured(reason, node=work.node.name) from error


def _pushed_at(work: Work, reader: Reader, hold: Hold, record_id: Any) -> datetime | None:  # noqa: ANN401 - any key
    """When the latest processed record was pushed; None where the push that sent it has not flagged it yet.

    A record that has left the node since, with its entity, is known from the hand-over, and one that is no more from
    the last pull. NEVER is when it left the node and no push to it is known: that one's answer was lost.
    """
    before = former_push_time(work.engine, hold.lane, record_id)
    if before is not None:
        remember_latest(work.engine, hold, record_id, before)
        return before
    pull = work.protocol.pull
    assert pull is not None  # noqa: S101 - a pull lane exists only for a declared pull
    remembered = remembered_time(hold, record_id)
    for _ in range(LOOKS):
        found = reader.pushed_at(record_id)
        if remembered is not None and (found is None or not found[1]):
            return remembered
        if found is None and isinstance(pull.fetch, Get) and reader.has_left(record_id):
            return NEVER
        if found is None:
            reason = f"its status names record {str(record_id)[:80]!r}, which is not one of those sent to it"
            raise NodeMisconfigured(reason, node=work.node.name)
        time, pushed = found
        if pushed and time is not None:
            remember_latest(work.engine, hold, record_id, time)
            return time
        sleep(LOOK_SECONDS)
    return None


@dataclass(slots=True)
class _Collection:
    """Results on their way back from one node."""

    work: Work
    pull: Pull
    hold: Hold
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
        self.hold.check(self.work.engine, self.clock, self.work.limits.lease_seconds)
        results = fetch(self.pull, batch, self.client, self.work.protocol)
        selected = len(batch) if sure else len(results)
        self.tally.selected += selected
        failed = {key: result for key, result in results.items() if isinstance(result, str)}
        if results:
            failed |= flag_pulled(self.work.engine, self.hold, self.work.protocol, results, self.clock())
        self.tally.refuse(failed)
        self.tally.done += len(results) - len(failed)
        self.tally.left += selected - len(results)
        return len(results)
