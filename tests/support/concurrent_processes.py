"""Functions that several processes of a test run at the same moment; in a module, so that they can be spawned."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import NullPool, create_engine, inspect

from tests.support.shop import shop_service
from workmesh_flows.adapters.store.assignment import writing_assignments
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.adapters.store.lanes import acquire_lane, release_lane
from workmesh_flows.domain.lane import Lane
from workmesh_flows.errors import LaneBusy
from workmesh_flows.planning.assignment.plan import Load, plan_assignment


def open_concurrently(url: str, barrier: Any, outcomes: Any) -> None:
    """Open a database at the same moment as others; puts its table names into ``outcomes``."""
    barrier.wait(30)
    try:
        engine = open_engine(url)
        outcomes.put(sorted(inspect(engine).get_table_names()))
        engine.dispose()
    except Exception as error:  # noqa: BLE001 - reported to the test
        outcomes.put(repr(error))


def acquire_concurrently(url: str, name: str, rounds: int, barrier: Any, outcomes: Any) -> None:
    """Try to acquire a lane at the same moment as others, again and again; puts each epoch, or 0 for a leased lane."""
    engine = create_engine(url, poolclass=NullPool)
    lane, epochs = Lane("s", "p", "n1"), list[int]()
    for _ in range(rounds):
        barrier.wait(30)
        try:
            lease = acquire_lane(engine, lane, holder=name, clock=lambda: datetime.now(UTC), lease_seconds=60)
        except LaneBusy:
            lease = None
        epochs.append(lease.epoch if lease else 0)
        barrier.wait(30)
        if lease:
            release_lane(engine, lease)
    outcomes.put((name, epochs))


def assign_concurrently(url: str, count: int, barrier: Any, outcomes: Any) -> None:
    """Assign shops to two nodes of twenty each, ``count`` at a time, until none is left; puts the number of assigned ones."""
    engine, service, written = create_engine(url, poolclass=NullPool), shop_service(), 0
    barrier.wait(30)
    while True:
        with writing_assignments(engine, service) as run:
            held = run.node_totals()
            loads = [Load(name, *held.get(name, (0, 0)), max_entities=20) for name in ("a", "b")]
            plan = plan_assignment(service.criterion, run.unassigned(count).entities, loads, run.position)
            written += run.write(plan.assigned)
            run.save_position(plan.position)
        if not plan.assigned:
            break
    outcomes.put(written)
