"""Conditions that were reported: saved, so that each is reported once when it starts and once when it is resolved."""

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

Kind: TypeAlias = Literal[
    "lane stopped", "node unreachable", "record parked", "record failed", "entities unassigned"
]
MOST_REPORTED = 100
"""Conditions of each sort (started, resolved, changed) that one run reports; the next run reports the rest."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A state that needs attention since a time; its subject starts with its service, except for a node's."""

    kind: Kind
    subject: str
    since: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class ConditionChanges:
    """Details by subject: conditions that started, that are resolved, and that have another reason than the saved one.

    A resolved condition has the detail that was saved last.
    """

    kind: Kind
    started: Mapping[str, str]
    resolved: Mapping[str, str]
    changed: Mapping[str, str] = field(default_factory=dict)


def compare_conditions(
    engine: Engine, kind: Kind, holding: Mapping[str, str], is_known: Callable[[str], bool] = lambda _: True
) -> ConditionChanges:
    """Compare the conditions that hold now with the saved ones.

    ``holding`` has the detail by subject. A saved condition that does not hold any more is resolved only where
    ``is_known`` returns true for its subject: this run may cover a part of the mesh.
    """
    known = conditions.c.kind == kind
    with translated_errors(), engine.connect() as connection:
        saved = dict(connection.execute(select(conditions.c.subject, conditions.c.detail).where(known)).all())
    started = [subject for subject in holding if subject not in saved and len(subject) <= NAME_LENGTH]
    resolved = [subject for subject in saved if subject not in holding and is_known(subject)]
    changed = [
        name for name, detail in holding.items() if name in saved and saved[name] != stored_text(detail)
    ]
    return ConditionChanges(
        kind,
        {name: holding[name] for name in started[:MOST_REPORTED]},
        {name: saved[name] for name in resolved[:MOST_REPORTED]},
        {name: holding[name] for name in changed[:MOST_REPORTED]},
    )


def save_changes(engine: Engine, changes: ConditionChanges, now: datetime) -> None:
    """Save changes after they were reported.

    Where another run saves some of them at the same time, the started ones are not saved, and are reported again. A
    condition with a new reason keeps its time; the page shows the new reason, no event is sent.
    """
    same_kind = conditions.c.kind == changes.kind
    if changes.resolved:
        with translated_errors(), engine.begin() as connection:
            connection.execute(
                delete(conditions).where(same_kind, conditions.c.subject.in_(list(changes.resolved)))
            )
    if changes.changed:
        with translated_errors(), engine.begin() as connection:
            for subject, detail in changes.changed.items():
                row = update(conditions).where(same_kind, conditions.c.subject == subject)
                connection.execute(row.values(detail=stored_text(detail)))
    if changes.started:
        rows = [
            {"kind": changes.kind, "subject": subject, "since": now, "detail": stored_text(detail)}
            for subject, detail in changes.started.items()
        ]
        with translated_errors(), suppress(IntegrityError), engine.begin() as connection:
            connection.execute(insert(conditions), rows)


def all_conditions(engine: Engine) -> list[Condition]:
    """All saved conditions, the oldest first."""
    ordered = select(conditions).order_by(conditions.c.since, conditions.c.kind, conditions.c.subject)
    with translated_errors(), engine.connect() as connection:
        return [
            Condition(row.kind, row.subject, row.since, row.detail) for row in connection.execute(ordered)
        ]
