"""What has happened in the lanes of each service so far, in few numbers: they change whenever a lane's figures do."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, func, or_, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.schema import lanes


def lane_totals(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """By service: the number of its lanes and the sums of their figures, and the lanes that are held or have failed."""
    sums = (
        select(lanes.c.service, func.count(), func.sum(lanes.c.done), func.sum(lanes.c.refused))
        .group_by(lanes.c.service)
        .order_by(lanes.c.service)
    )
    eventful = (
        select(
            lanes.c.service,
            lanes.c.protocol,
            lanes.c.node,
            lanes.c.direction,
            lanes.c.holder,
            lanes.c.breaker,
            lanes.c.failures,
        )
        .where(or_(lanes.c.holder.is_not(None), lanes.c.breaker != "closed", lanes.c.failures > 0))
        .order_by(lanes.c.service, lanes.c.protocol, lanes.c.node, lanes.c.direction)
    )
    found: dict[str, list[tuple[Any, ...]]] = {}
    with translated_errors(), engine.connect() as connection:
        for service, number, done, refused in connection.execute(sums):
            found[service] = [(number, int(done), int(refused))]
        for service, *row in connection.execute(eventful):
            found.setdefault(service, []).append(tuple(row))
    return found
