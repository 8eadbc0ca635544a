"""Checks of what changes when a row is updated: a sort column with ``onupdate``, and triggers."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sqlalchemy import Table

from workmesh_flows.adapters.store.check.column_checks import where
from workmesh_flows.adapters.store.check.finding import Finding, Level
from workmesh_flows.adapters.store.check.live_schema import LiveSchema
from workmesh_flows.adapters.store.check.required_columns import RequiredColumn
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.protocol import Protocol

WRITTEN = frozenset({"assignment", "time", "success", "error", "result"})
"""The roles of the columns that Workmesh writes."""


def changing_sort_findings(protocol: Protocol) -> Iterator[Finding]:
    """The finding for a sort column that the application changes with each update of a record."""
    sort = column_of(protocol.sort)
    if sort.onupdate is not None or (sort.server_onupdate is not None and sort.computed is None):
        what = (
            "the sort column has onupdate: whenever your application changes a record, its place in the order "
            "changes"
        )
        yield Finding(
            Level.ADVICE, where(sort), what, "sort by a column that stays as it is, such as a creation time"
        )


def trigger_findings(
    catalogue: LiveSchema, table: Table, demands: Collection[RequiredColumn]
) -> Iterator[Finding]:
    """The finding for triggers of a table that run when Workmesh writes its columns."""
    written = {catalogue.name(demand.column.name) for demand in demands if demand.role in WRITTEN}
    names = [
        name for name, columns in catalogue.update_triggers(table) if not columns or written & set(columns)
    ]
    if names and written:
        what = f"the trigger {', '.join(names)} runs whenever Workmesh writes its columns of a row"
        to_do = "check that it changes no sort column and is fast, or let it run only for the columns that it needs"
        yield Finding(Level.NOTE, table.fullname, what, to_do)
