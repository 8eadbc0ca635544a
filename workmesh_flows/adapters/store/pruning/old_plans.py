"""Old plans.

A plan that a run has started to apply stays: a later run continues it. An applied one is only named in the move log. One
that was never applied can be made again: equal facts give an equal plan under the same id, and after a change of the facts
it would be refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import Engine, and_, delete, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.schema import plans

PLANS_AT_ONCE = 50
"""Plans in one statement: the facts of a plan may be megabytes."""


def prune_plans(
    engine: Engine, services: Collection[str], before: datetime, *, dry_run: bool
) -> Iterator[int]:
    """Delete plans of these services that were made before a time, batch by batch; yield the number of each batch."""
    old = and_(plans.c.service.in_(services), plans.c.planned_at < before, plans.c.state != "applying")
    last = ""
    while True:
        page = select(plans.c.id).where(old, plans.c.id > last).order_by(plans.c.id).limit(PLANS_AT_ONCE)
        with translated_errors(), engine.connect() as connection:
            ids = list(connection.scalars(page))
        if not ids:
            return
        last = ids[-1]
        if dry_run:
            yield len(ids)
            continue
        with translated_errors(), engine.begin() as connection:
            number = connection.execute(delete(plans).where(old, plans.c.id.in_(ids))).rowcount
        yield number
