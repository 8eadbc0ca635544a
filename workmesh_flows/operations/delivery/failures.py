"""Failures at a node: reading the records that it accepted and could not process, where it lists them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.failures import forget_ended_failures, read_mark, save_listed_failures
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PushTables, push_tables
from workmesh_flows.adapters.store.schema import NAME_LENGTH
from workmesh_flows.adapters.store.settled import LaneSettling, read_settling, save_settled
from workmesh_flows.domain.calls import NO_REASON
from workmesh_flows.domain.reports import Tally
from workmesh_flows.errors import (
    BatchTooLarge,
    NodeMisconfigured,
    NodeUnavailable,
    RecordRefused,
    RequestCrashed,
    UnreadableAnswer,
)
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.planning.failures import is_settled

logger = logging.getLogger(__name__)

MOST_PAGES = 200
"""Pages that one run reads of a lane, so that it ends; the next run reads the rest."""


def read_failures(
    context: LaneContext, lease: LaneLease, clock: Clock, client: HttpNodeClient, tally: Tally
) -> None:
    """Read what a node lists as failed since the last time, and save it page by page.

    A node without such a list is not at fault, and is not reported. Pulls ask a node only as long as its list may grow:
    see `planning.failures.is_settled`. Raises NodeUnavailable where the node does not
    answer a ping either, unless the protocol has results: these were pulled.
    """
    tables = push_tables(context.service, context.protocol)
    path = tables.push.failed_path
    forget_ended_failures(context.engine, tables)
    if path is None:
        return
    began, known = clock(), read_settling(context.engine, lease)
    if _read_pages(context, lease, clock, client, tally, tables, path):
        _save_settled(context, lease, known, began)


def _read_pages(  # noqa: PLR0913, PLR0917 - each is one fact of the run
    context: LaneContext,
    lease: LaneLease,
    clock: Clock,
    client: HttpNodeClient,
    tally: Tally,
    tables: PushTables,
    path: str,
) -> bool:
    """Read and save all pages behind the mark; return whether the list was read to its end, or the node has none."""
    mark = read_mark(context.engine, lease.lane)
    for _ in range(MOST_PAGES):
        lease.check(context.engine, clock, context.limits.lease_seconds)
        try:
            page = _ask(client, path, mark)
        except NodeUnavailable:
            if context.protocol.pull is None:
                raise
            return False
        if page is None:
            return True
        reasons, following = page
        new = mark if following is None else following
        if reasons or new != mark:
            saved = save_listed_failures(context.engine, lease, tables, reasons, following, clock())
            tally.selected += len(saved)
            tally.add_failed(saved)
        if not reasons or new == mark:
            return True
        mark = new
    return False


def _save_settled(context: LaneContext, lease: LaneLease, known: LaneSettling, began: datetime) -> None:
    """Save that the list was read to its end for good, or that it may grow again, where this is news."""
    if known.last_push is None:
        return  # nothing was pushed, so no pull asks for its failures
    before = known.settled_at
    is_news = before is None or before < known.last_push
    if is_settled(known.last_push, began, workload=known.workload, seen_at=known.seen_at):
        if is_news:
            save_settled(context.engine, lease, began)
    elif before is not None and known.workload and known.seen_at is not None and known.seen_at > before:
        save_settled(
            context.engine, lease, None
        )  # the node works again, perhaps on what it had processed before


def _ask(client: HttpNodeClient, path: str, mark: str | None) -> tuple[dict[Any, str], str | None] | None:
    """A page of failures, as reasons by id, and the mark behind it; None where the node offers none."""
    try:
        value = client.post(path, {"after": mark})
    except (NodeMisconfigured, RecordRefused) as error:  # it has no such endpoint
        logger.debug("node %s does not list failures: %s", client.name, error)
        return None
    except (RequestCrashed, UnreadableAnswer, BatchTooLarge) as error:
        _warn(client, path, client.scrub(error.reason))
        return None
    except NodeUnavailable as error:
        if error.retry_at is not None:
            raise
        client.ping()
        return None
    entries = value.get("failed") if isinstance(value, Mapping) else None
    if not isinstance(entries, list):
        if value:  # some nodes answer every path with an empty success
            _warn(
                client, path, f"{path} answers {client.scrub(repr(value))[:80]}, without a list of failures"
            )
        return None
    reasons = {
        entry["id"]: client.scrub(str(entry.get("reason") or "")) or NO_REASON
        for entry in entries
        if _has_id(entry)
    }
    if odd := [entry for entry in entries if not _has_id(entry)]:
        shown = client.scrub(repr(odd[0]))[:80]
        _warn(client, path, f"{len(odd):,} of {len(entries):,} entries have no id, for example {shown}")
    following = value.get("next")
    is_mark = isinstance(following, str) and 0 < len(following) <= NAME_LENGTH
    return reasons, following if is_mark else None


def _has_id(entry: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(entry, Mapping) and isinstance(entry.get("id"), str | int)


def _warn(client: HttpNodeClient, path: str, reason: str) -> None:
    """Log why the failures of a node are not known; a pull does not fail for it."""
    logger.warning("the failures that node %s lists under %s cannot be read: %s", client.name, path, reason)
