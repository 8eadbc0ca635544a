"""The lanes as a table: the run that holds each lane, its circuit breaker, and its record counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workmesh_flows.adapters.store.lanes import read_lanes

if TYPE_CHECKING:
    from sqlalchemy import Engine

_TITLES = {
    "service": "service",
    "protocol": "protocol",
    "node": "node",
    "direction": "direction",
    "holder": "holder",
    "breaker": "breaker",
    "failures": "failures in a row",
    "retry_at": "retry at",
    "done": "processed",
    "refused": "failed answers",
    "last_push_time": "last push",
    "last_failure": "last failure",
    "epoch": "epoch",
    "lease_until": "lease until",
    "batch_limit": "batch limit",
    "next_batch": "next batch",
    "latest_id": "latest id",
}
"""Columns of the lanes in the database, and their titles in the table."""
LANE_COLUMNS = tuple(_TITLES.values())[:11]
"""Columns of the lanes table shown by default; the DataFrame has more."""


def lanes_table(engine: Engine) -> pd.DataFrame:
    """One row for each lane and direction that ever ran.

    ``processed`` counts pushed or pulled records, ``failed answers`` the answers in which the node refused a record or
    reported that it could not process one: a record counts once for each such push or pull. Both are totals since the
    lane's first run. ``failures in a row`` are those of its circuit breaker.
    """
    return pd.DataFrame(read_lanes(engine), columns=list(_TITLES), dtype=object).rename(columns=_TITLES)
