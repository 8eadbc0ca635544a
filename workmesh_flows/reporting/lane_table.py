"""The lanes as a table: the run that holds each lane, its circuit breaker, and its record counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workmesh_flows.adapters.store.lanes import read_lanes

if TYPE_CHECKING:
    from sqlalchemy import Engine

LANE_COLUMNS = (
    "service",
    "protocol",
    "node",
    "direction",
    "holder",
    "breaker",
    "failures",
    "retry_at",
    "done",
    "refused",
    "last_push_time",
)
"""Columns of the lanes table shown by default; the DataFrame has more."""
MORE_LANE_COLUMNS = ("last_failure", "epoch", "lease_until", "batch_limit", "next_batch", "latest_id")


def lanes_table(engine: Engine) -> pd.DataFrame:
    """One row for each lane and direction that ever ran; ``done`` and ``refused`` count records over its whole life."""
    return pd.DataFrame(read_lanes(engine), columns=[*LANE_COLUMNS, *MORE_LANE_COLUMNS], dtype=object)
