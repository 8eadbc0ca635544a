"""Conditions that people were told of: so that each is told once when it begins, and once when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.schema import NAME_LENGTH, conditions
from workmesh_flows.adapters.store.values import stored_text

Kind: TypeAlias = Literal["lane stopped", "node unreachable", "record parked", "entities unassigned"]
MOST = 100
"""Conditions that begin or end in one telling; the rest are news for the next run."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds since then and needs somebody; a subject begins with its service, but for a node's."""

    kind: Kind
    subject: str
    since: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class ConditionChanges:
    """By subject: what is told for the first time, what is over, and what goes on for another reason than was kept.

    Of what is over it has what was said last.
    """

    kind: Kind
    started: Mapping[str, str]
    resolved: Mapping[str, str]
    changed: Mapping[str, str] = field(default_factory=dict)


def compare_conditions(
    engine: Engine, kind: Kind, holding: Mapping[str, str], is_known: Callable[[str], bool] = lambda _: True
) -> ConditionChanges:
    """Compare what holds now with what was told.

    ``holding`` has what is to be said by subject; ``is_known`` says of a subject whether this run can speak of it.
    """
    known = conditions.c.kind == kind
    with translated_errors(), engine.connect() as connection:
        told = dict(connection.execute(select(conditions.c.subject, conditions.c.detail).where(known)).all())
    started = [subject for subject in holding if subject not in told and len(subject) <= NAME_LENGTH]
    resolved = [subject for subject in told if subject not in holding and is_known(subject)]
    changed = [name for name, detail in holding.items() if name in told and told[name] != stored_text(detail)]
    return ConditionChanges(
        kind,
        {name: holding[name] for name in started[:MOST]},
        {name: told[name] for name in resolved[:MOST]},
        {name: holding[name] for name in changed[:MOST]},
    )


def save_changes(engine: Engine, told: ConditionChanges, now: datetime) -> None:
    """Keep that these news were told. Where another run keeps some of them at this moment, what begins is told again.

    What goes on for another reason keeps its time; the page says the new reason, no event does.
    """
    mine = conditions.c.kind == told.kind
    if told.resolved:
        with translated_errors(), engine.begin() as connection:
            connection.execute(delete(conditions).where(mine, conditions.c.subject.in_(list(told.resolved))))
    if told.changed:
        with translated_errors(), engine.begin() as connection:
            for subject, detail in told.changed.items():
                now_so = update(conditions).where(mine, conditions.c.subject == subject)
                connection.execute(now_so.values(detail=stored_text(detail)))
    if told.started:
        rows = [
            {"kind": told.kind, "subject": subject, "since": now, "detail": stored_text(detail)}
            for subject, detail in told.started.items()
        ]
        with translated_errors(), suppress(IntegrityError), engine.begin() as connection:
            connection.execute(insert(conditions), rows)


def all_conditions(engine: Engine) -> list[Condition]:
    """What people were told of and is not over, the oldest first."""
    ordered = select(conditions).order_by(conditions.c.since, conditions.c.kind, conditions.c.subject)
    with translated_errors(), engine.connect() as connection:
        return [
            Condition(row.kind, row.subject, row.since, row.detail) for row in connection.execute(ordered)
        ]
