"""What processes of a test do at the same moment; importable, so that they can be spawned."""

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


def open_at_once(url: str, barrier: Any, outcomes: Any) -> None:
    """Open a database when all others do; tell which tables it has then."""
    barrier.wait(30)
    try:
        engine = open_engine(url)
        outcomes.put(sorted(inspect(engine).get_table_names()))
        engine.dispose()
    except Exception as error:  # noqa: BLE001 - told to the test
        outcomes.put(repr(error))


def take_at_once(url: str, name: str, rounds: int, barrier: Any, outcomes: Any) -> None:
    """Take one lane when all others do, round after round; tell each round's epoch, 0 for a lane that was taken."""
    engine = create_engine(url, poolclass=NullPool)
    lane, epochs = Lane("s", "p", "n1"), list[int]()
    for _ in range(rounds):
        barrier.wait(30)
        try:
            hold = acquire_lane(engine, lane, holder=name, clock=lambda: datetime.now(UTC), lease_seconds=60)
        except LaneBusy:
            hold = None
        epochs.append(hold.epoch if hold else 0)
        barrier.wait(30)
        if hold:
            release_lane(engine, hold)
    outcomes.put((name, epochs))


def assign_at_once(url: str, at_once: int, barrier: Any, outcomes: Any) -> None:
    """Assign shops to two nodes of room for twenty, some at once, until none is left; tell how many were written."""
    engine, service, written = create_engine(url, poolclass=NullPool), shop_service(), 0
    barrier.wait(30)
    while True:
        with writing_assignments(engine, service) as run:
            held = run.node_totals()
            loads = [Load(name, *held.get(name, (0, 0)), max_entities=20) for name in ("a", "b")]
            plan = plan_assignment(service.criterion, run.unassigned(at_once), loads, run.position)
            written += run.write(plan.assigned)
            run.save_position(plan.position)
        if not plan.assigned:
            break
    outcomes.put(written)
