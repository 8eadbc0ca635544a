"""Missing records: pushed, but the node that should have processed them does not have them.

This happens where the application gives pushed records another owner, where ``assigned_to`` is changed by hand, and
where a node loses records. A pull saves which records its node does not have. The pulls of the other nodes ask for
these records, too. What no node has is pending again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.missing_records import MissingRecords, Pushed, last_push_times
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.record_pages import Page
from workmesh_flows.domain.reports import counted
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.latest_processed import NEVER
from workmesh_flows.planning.bisection import Sendable

Ask = Callable[[Page], object]
"""Asks the node for the results of records by id, and writes those that it has."""


def handle_missing(
    context: LaneContext, tables: PullTables, lease: LaneLease, upto: datetime, ask: Ask | None
) -> list[str]:
    """At the end of a pull, find the records that its node does not have; return sentences for the report.

    ``upto`` is the push time of the record that the node names. Without ``ask``, where results are pulled by a function
    of the user, missing records are only saved. A record that no node has is made pending again by the next pull,
    once for each node: a node that accepts a record again and again and does not process it is not sent it without
    end.
    """
    records = MissingRecords(context.engine, lease, tables)
    if ask is not None:
        _ask_for_others(records, upto, ask)
    new = again = 0
    for page in _overdue(records, upto):
        asked = records.asked(page)
        unknown = [one for one in page if one not in asked]
        records.save(unknown)
        new += len(unknown)
        if ask is not None:
            again += records.make_pending(
                _nobody_has(records, [one for one in page if asked.get(one) is False])
            )
    records.forget()
    found = [f"{counted(new, 'record')} {_are(new)} missing at the node"] if new else []
    if again:
        was, they = ("was", "it is") if again == 1 else ("were", "they are")
        found.append(f"{counted(again, 'record')} {was} never received by the node; {they} pending again")
    return found


def _ask_for_others(records: MissingRecords, upto: datetime, ask: Ask) -> None:
    """Ask the node for records that others do not have: their entities may have left it without a hand-over.

    Those that it may still process are asked for again by its next pull.
    """
    size, lane = records.tables.pull.page, records.lease.lane
    last = last_push_times(records.engine, lane).get(lane.node, NEVER)
    for page in records.missing_elsewhere(upto=last):
        for start in range(0, len(page), size):
            batch = page[start : start + size]
            ask([Sendable({}, one.id, None) for one in batch])
            left = set(records.still_without_result([one.id for one in batch]))
            records.save([one for one in batch if one in left and one.time <= upto])


def _overdue(records: MissingRecords, upto: datetime) -> Iterator[list[Pushed]]:
    """Pages of the lane's records without a result that the node should have, or that were never pushed to it.

    It processes records in the order of their arrival, so it should have those pushed before the one that it names.
    Those pushed after the last push to it were pushed to another node.
    """
    engine, lane = records.engine, records.lease.lane
    if upto > NEVER:
        yield from records.without_result(upto=upto)
    pushes = last_push_times(engine, lane)
    newest = max((time for node, time in pushes.items() if node != lane.node), default=NEVER)
    if lane.node not in pushes and records.lease.latest is not None:
        return  # it was pushed to by a program that does not save these times
    above = max(pushes.get(lane.node, NEVER), upto)
    if newest <= above:
        return
    for page in records.without_result(upto=newest, above=above):
        last = last_push_times(engine, lane).get(lane.node, NEVER)  # a push to it may run meanwhile
        yield [one for one in page if one.time > last]


def _nobody_has(records: MissingRecords, pushed: Sequence[Pushed]) -> list[Pushed]:
    """Those of these records that every other node was asked for that may have received them."""
    left = list(pushed)
    if not left:
        return left
    for node, last in last_push_times(records.engine, records.lease.lane).items():
        if node != records.lease.lane.node:
            asked = records.asked([one for one in left if one.time <= last], node)
            left = [one for one in left if one.time > last or one in asked]
    return left


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
