"""Whether the node of a lane may list more failures: what is known about it, and when they were read to the end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, and_, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.lanes import LaneLease, row_of, update_lane
from workmesh_flows.adapters.store.schema import lanes, probes


@dataclass(frozen=True, slots=True)
class LaneSettling:
    """The last push of a lane, when its failures were settled, and the queue of its node when it was probed last."""

    last_push: datetime | None
    settled_at: datetime | None
    workload: int | None
    seen_at: datetime | None


def read_settling(engine: Engine, lease: LaneLease) -> LaneSettling:
    """What is known of a leased pull lane."""
    lane, pushes = lease.lane, lanes.alias()
    push = and_(
        pushes.c.service == lane.service,
        pushes.c.protocol == lane.protocol,
        pushes.c.node == lane.node,
        pushes.c.direction == "push",
    )
    query = (
        select(pushes.c.last_push_time, lanes.c.settled_at, probes.c.workload, probes.c.probed_at)
        .select_from(lanes.outerjoin(pushes, push).outerjoin(probes, probes.c.node == lanes.c.node))
        .where(row_of(lane))
    )
    with translated_errors(), engine.connect() as connection:
        return LaneSettling(*connection.execute(query).one())


def save_settled(engine: Engine, lease: LaneLease, settled_at: datetime | None) -> None:
    """Save when the failures of a lane were read to the end; None: its node may list more. Raises LaneLost."""
    update_lane(engine, lease, settled_at=settled_at)
