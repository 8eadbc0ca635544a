"""How far a node is: the record that it names as the latest processed, and when that one was pushed."""

from __future__ import annotations

from datetime import UTC, datetime
from time import sleep
from typing import Any

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.former_pushes import former_push_time, save_latest, saved_latest_time
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.missing_records import last_push_times, was_asked_for
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.pullable_records import PullableReader
from workmesh_flows.domain.answers import refused_without_record
from workmesh_flows.domain.calls import Get
from workmesh_flows.errors import (
    BatchTooLarge,
    NodeMisconfigured,
    NodeUnavailable,
    RecordRefused,
    RequestCrashed,
    UnreadableAnswer,
)
from workmesh_flows.operations.delivery.lane_context import LaneContext

LOOKS = 5
"""Times to read a record's push flag: a node may process a record before the push that sent it has flagged it."""
LOOK_SECONDS = 0.2
"""Pause between two of these reads."""
NEVER = datetime.min.replace(tzinfo=UTC)
"""A time before any push."""


def ask_latest(client: HttpNodeClient, tables: PullTables) -> Any:  # noqa: ANN401 - an id as the node writes it
    """Ask the node for the id of its latest processed record; None where there is none.

    It is the first request of a pull, and so also the test of the key.
    """
    status = tables.pull.status
    try:
        return client.post(status, {})
    except RecordRefused as refusal:
        raise refused_without_record(status, refusal.reason, client.name) from refusal
    except (RequestCrashed, UnreadableAnswer, BatchTooLarge) as error:  # no record is involved
        raise NodeUnavailable(error.reason, node=client.name) from error


def latest_id(context: LaneContext, tables: PullTables, latest: Any) -> Any:  # noqa: ANN401 - any JSON in, any key out
    """The node's answer as an id of the protocol; raises NodeMisconfigured where it cannot be one."""
    try:
        return parse_key(tables.id, latest)
    except ValueError as error:
        reason = f"its status names {str(latest)[:80]!r}, which is no id of {context.protocol.name}"
        raise NodeMisconfigured(reason, node=context.node.name) from error


def latest_push_time(
    context: LaneContext,
    tables: PullTables,
    reader: PullableReader,
    lease: LaneLease,
    record_id: Any,  # noqa: ANN401 - any key
) -> datetime | None:
    """When the latest processed record was pushed; None where the push that sent it has not flagged it yet.

    For a record that left the node with its entity the hand-over saved this time, for a deleted record the last pull
    did. Where the record left the node in another way, its push flag has the time. NEVER is returned where the record
    left the node and no push to it is known: that push's answer was lost.
    Raises NodeMisconfigured for a record that was never sent to the node.
    """
    before = former_push_time(context.engine, lease.lane, record_id)
    if before is not None:
        save_latest(context.engine, lease, record_id, before)
        return before
    saved = saved_latest_time(lease, record_id)
    for _ in range(LOOKS):
        found = reader.pushed_at(record_id)
        if saved is not None and (found is None or not found[1]):
            return saved
        if found is None and isinstance(tables.pull.fetch, Get) and reader.has_left(record_id):
            return NEVER
        if found is None and (elsewhere := _pushed_elsewhere(context, tables, reader, lease, record_id)):
            if elsewhere > NEVER:
                save_latest(context.engine, lease, record_id, elsewhere)
            return elsewhere
        if found is None:
            reason = f"its status names record {str(record_id)[:80]!r}, which is not one of those sent to it"
            raise NodeMisconfigured(reason, node=context.node.name)
        time, pushed = found
        if pushed and time is not None:
            save_latest(context.engine, lease, record_id, time)
            return time
        sleep(LOOK_SECONDS)
    return None


def _pushed_elsewhere(
    context: LaneContext,
    tables: PullTables,
    reader: PullableReader,
    lease: LaneLease,
    record_id: Any,  # noqa: ANN401 - any key
) -> datetime | None:
    """When a record was pushed whose entity left the node, or was deleted, without a hand-over.

    None where it cannot have been pushed to this node: after the last push to it, or not at all.
    """
    found = reader.pushed_at(record_id, anywhere=True)
    if found is None:
        return None
    (time, pushed), node = found, lease.lane.node
    if pushed and time is not None and time <= last_push_times(context.engine, lease.lane).get(node, NEVER):
        return time
    by_id = isinstance(tables.pull.fetch, Get)
    return NEVER if by_id and was_asked_for(context.engine, tables, node, record_id) else None
