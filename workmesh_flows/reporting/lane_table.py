"""The lanes as a table: who works them, what their circuit breaker says, what went over them."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.schema import lanes

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
"""Columns of the lanes table that people see; the DataFrame has more."""
MORE_LANE_COLUMNS = ("last_failure", "epoch", "lease_until", "batch_limit", "next_batch", "latest_id")


def lanes_table(engine: Engine) -> pd.DataFrame:
    """One row a lane and direction that was ever worked: ``done`` and ``refused`` count records over its whole life."""
    columns = [lanes.c[name] for name in (*LANE_COLUMNS, *MORE_LANE_COLUMNS)]
    ordered = select(*columns).order_by(
        lanes.c.service, lanes.c.node, lanes.c.protocol, lanes.c.direction.desc()
    )
    with translated_errors(), engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(ordered)]
    return pd.DataFrame(rows, columns=[column.name for column in columns], dtype=object)
