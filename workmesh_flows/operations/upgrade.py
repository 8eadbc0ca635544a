"""The upgrade of the Workmesh tables from the version of an older release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row

from workmesh_flows.adapters.store.engine import database_clock, naming_database, place_of, translated_errors
from workmesh_flows.adapters.store.lanes import lock_held_lanes
from workmesh_flows.adapters.store.migrations.run import migrate, migrations_after, migrations_as_sql
from workmesh_flows.adapters.store.own_tables import (
    CURRENT,
    create_in,
    exclusive,
    is_older,
    is_stored,
    mismatch,
    read_version,
    require_schemas,
    schema_of,
)
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.reports import counted
from workmesh_flows.errors import ConfigurationError

LISTED = 5
"""Number of held lanes that an error names."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade will do: ``steps`` has version and title of each migration.

    ``found`` is the version of the tables, None if the database has none; ``needed`` is that of this release. ``stored``
    is the version that the database stores, None for tables of release 0.1.0.
    """

    place: str
    found: str | None
    needed: str
    stored: str | None
    steps: Sequence[tuple[str, str]]


def plan_upgrade(engine: Engine) -> Upgrade:
    """What an upgrade will do; raises ConfigurationError if this release does not know the version of the tables."""
    require_schemas(engine)
    with naming_database(engine), translated_errors(), engine.connect() as connection:
        found, stored = _versions(connection)
    steps = [(script.revision, script.doc.rstrip(".")) for script in migrations_after(stored)]
    return Upgrade(
        place_of(engine), found, CURRENT, stored, [step for step in steps if step[0] > (found or "")]
    )


def upgrade_as_sql(engine: Engine) -> str:
    """The statements of the upgrade; empty if there is nothing to do."""
    plan = plan_upgrade(engine)
    if plan.stored == CURRENT:
        return ""
    return migrations_as_sql(engine.dialect.name, plan.stored, schema_of(engine))


def upgrade(engine: Engine, *, force: bool = False) -> str | None:
    """Upgrade the tables in one transaction, or create them; returns the version that they had.

    It may be repeated, and run twice at once: the second run then finds nothing to do. Raises ConfigurationError if
    runs hold lanes, unless ``force``.
    """
    clock = database_clock(engine)
    with naming_database(engine), translated_errors(), exclusive(engine) as connection:
        found, stored = _versions(connection)
        if found is None:
            create_in(connection)
        elif stored != CURRENT:
            held = lock_held_lanes(connection, clock())
            if held and not force:
                raise ConfigurationError(_refusal(held))
            migrate(connection, stored, schema_of(connection))
        return found


def _versions(connection: Connection) -> tuple[str | None, str | None]:
    found = read_version(connection)
    if found not in {None, CURRENT} and not is_older(str(found)):
        raise ConfigurationError("; ".join(mismatch(found)))
    return found, found if is_stored(connection) else None


def _refusal(held: Sequence[Row[Any]]) -> str:
    named = [
        f"{Lane(row.service, row.protocol, row.node, row.direction)} of {row.service}, held by {row.holder}"
        for row in held[:LISTED]
    ]
    more = f" and {len(held) - LISTED:,} more" if len(held) > LISTED else ""
    return (
        f"nothing was changed, because runs hold {counted(len(held), 'lane')} ({'; '.join(named)}{more}): wait until "
        "these runs have ended, or give --force"
    )
