"""Decisions about refused records: they are replayed, or skipped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    String,
    TypeDecorator,
    and_,
    cast,
    delete,
    literal,
    or_,
    select,
    update,
)

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.schema import ensure_row, parked, services
from workmesh_flows.adapters.store.statements.refused import refused_in
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import UnknownName
from workmesh_flows.planning.refusals import RefusalState

Decision: TypeAlias = Literal["replay", "skip"]
UNDECIDED = (RefusalState.PARKED, RefusalState.BLOCKING)


def decide(  # noqa: PLR0913 - each narrows the choice
    engine: Engine,
    service: Service,
    protocols: Sequence[PushTables],
    decision: Decision,
    *,
    records: Collection[str] = (),
    entities: Collection[str] = (),
) -> int:
    """Replay or skip refused records: the named ones, those of the named entities, or all that are parked or blocking.

    The attempts of a replayed record are counted from zero again; a skipped record is not sent any more, and the
    records behind it are. Both make a push that runs meanwhile read its lane from the beginning again, so that the
    released records keep their order. Returns the number of records. Raises UnknownName, and changes nothing, where a
    named record or entity was not refused.
    """
    changed = 0
    with translated_errors():
        ensure_row(engine, services, service=service.name)
        with engine.begin() as connection:
            _require_known(connection, service, protocols, records, entities)
            own_row = services.c.service == service.name
            connection.execute(update(services).where(own_row).values(revision=services.c.revision + 1))
            for tables in protocols:
                row = and_(refused_in(tables), _is_chosen(tables, records, entities))
                change = (
                    delete(parked).where(row)
                    if decision == "replay"
                    else update(parked)
                    .where(row, parked.c.state != RefusalState.SKIPPED)
                    .values(state=RefusalState.SKIPPED)
                )
                changed += connection.execute(change).rowcount
    return changed


def _require_known(
    connection: Connection,
    service: Service,
    protocols: Sequence[PushTables],
    records: Collection[str],
    entities: Collection[str],
) -> None:
    """Raise UnknownName for names that are neither a refused record of these protocols nor an entity of one."""

    def is_refused(tables: PushTables, condition: ColumnElement[bool]) -> bool:
        row = select(literal(1)).where(refused_in(tables), condition).limit(1)
        return connection.execute(row).first() is not None

    def has_record(tables: PushTables, name: str) -> bool:
        return is_refused(tables, parked.c.record == _as_stored(tables.id, name))

    def has_entity(tables: PushTables, name: str) -> bool:
        return is_refused(tables, parked.c.owner == _as_stored(tables.entities.key, name))

    unknown = [name for name in records if not any(has_record(tables, name) for tables in protocols)]
    if unknown:
        raise _not_refused("refused record", service, unknown)
    unknown = [name for name in entities if not any(has_entity(tables, name) for tables in protocols)]
    if unknown:
        raise _not_refused("entity with refused records", service, unknown)


def _not_refused(kind: str, service: Service, names: Sequence[str]) -> UnknownName:
    return UnknownName(
        f"service {service.name}", kind, ", ".join(names), hint="workmesh failed lists the refused records"
    )


def _is_chosen(
    tables: PushTables, records: Collection[str], entities: Collection[str]
) -> ColumnElement[bool]:
    if not records and not entities:
        return parked.c.state.in_(UNDECIDED)
    return or_(
        parked.c.record.in_([_as_stored(tables.id, name) for name in records]),
        parked.c.owner.in_([_as_stored(tables.entities.key, name) for name in entities]),
    )


def _as_stored(column: Column[Any], name: str) -> ColumnElement[str]:
    """A key given as text, in the form in which the table stores it: the database's own text."""
    if isinstance(column.type, TypeDecorator):  # a user-defined type: which values it takes is unknown
        return literal(name)
    try:
        return cast(literal(parse_key(column, name), column.type), String)
    except ValueError:
        return literal(name)
