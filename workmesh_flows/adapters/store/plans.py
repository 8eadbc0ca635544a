"""Plans saved in the database, with their state: planned, applying, applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import Connection, Engine, RowMapping, delete, insert, select, update

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.schema import plans
from workmesh_flows.errors import UnknownName
from workmesh_flows.planning.stored_plan import StoredPlan

PlanState: TypeAlias = Literal["planned", "applying", "applied"]
KNOWN_SHOWN = 5
"""Plans that the error for an unknown id lists."""


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A saved plan."""

    id: str
    state: PlanState
    planned_at: datetime
    plan: StoredPlan


def save_plan(engine: Engine, plan: StoredPlan, now: datetime) -> None:
    """Save a plan under its id; it replaces an equal plan that was saved before, in whichever state that was."""
    with translated_errors(), engine.begin() as connection:
        connection.execute(delete(plans).where(plans.c.id == plan.id))
        connection.execute(
            insert(plans).values(
                id=plan.id,
                service=plan.service,
                kind=plan.kind,
                state="planned",
                planned_at=now,
                body=plan.to_json(),
            )
        )


def read_plan(engine: Engine, plan_id: str) -> SavedPlan:
    """The plan with this id; raises UnknownName, which lists the latest plans."""
    with translated_errors(), engine.connect() as connection:
        row = connection.execute(select(plans).where(plans.c.id == plan_id)).mappings().first()
        if row is not None:
            return _saved(row)
        known_plans = select(plans.c.id, plans.c.kind, plans.c.service)
        latest = connection.execute(
            known_plans.order_by(plans.c.planned_at.desc(), plans.c.id).limit(KNOWN_SHOWN)
        )
        raise UnknownName(
            "the database",
            "plan",
            plan_id,
            [f"{known} ({kind} of {service})" for known, kind, service in latest],
        )


def mark_plan(connection: Connection, plan_id: str, state: PlanState) -> None:
    """Write the state of a plan."""
    connection.execute(update(plans).where(plans.c.id == plan_id).values(state=state))


def _saved(row: RowMapping) -> SavedPlan:
    return SavedPlan(row["id"], row["state"], row["planned_at"], StoredPlan.from_json(row["body"]))
