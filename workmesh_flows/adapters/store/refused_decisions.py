"""Decisions about refused and failed records: they are replayed, or skipped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
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
    true,
    update,
)

from workmesh_flows.adapters.store.engine import database_clock, translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.replays import replay_failed
from workmesh_flows.adapters.store.schema import ensure_row, parked, services
from workmesh_flows.adapters.store.statements.refused import listed_in, refused_in
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import UnknownName
from workmesh_flows.planning.refusals import REFUSED, RefusalState

Decision: TypeAlias = Literal["replay", "skip"]
WAITS_FOR_DECISION = parked.c.state.in_([RefusalState.PARKED, RefusalState.BLOCKING])
FAILED = (RefusalState.FAILED, RefusalState.REPLAYED)


def decide(  # noqa: PLR0913 - each narrows the choice
    engine: Engine,
    service: Service,
    protocols: Sequence[PushTables],
    decision: Decision,
    *,
    records: Collection[str] = (),
    entities: Collection[str] = (),
    failed: bool = False,
) -> int:
    """Replay or skip refused records: the named ones, those of the named entities, or all that are parked or blocking.

    The attempts of a replayed record are counted from zero again; a skipped record is not sent any more, and the
    records behind it are. With ``failed``, failed records are replayed instead: the named ones, those of the named
    entities, or all; a failed record that is named is replayed in any case. Each decision makes a push that runs
    meanwhile read its lane from the beginning again, so that the released records keep their order. Returns the number of
    records. Raises UnknownName, and changes nothing, where a named record or entity was not refused, or has not failed.
    """
    changed, now = 0, database_clock(engine)()
    with translated_errors():
        ensure_row(engine, services, service=service.name)
        with engine.begin() as connection:
            own_row = services.c.service == service.name
            connection.execute(update(services).where(own_row).values(revision=services.c.revision + 1))
            _require_known(
                connection, service, protocols, records, entities, _states(decision, failed=failed)
            )
            for tables in protocols:
                if failed:
                    chosen = _is_chosen(tables, records, entities, otherwise=true())
                    changed += replay_failed(connection, tables, chosen, now)
                    continue
                if decision == "replay" and records:
                    changed += replay_failed(connection, tables, _is_chosen(tables, records, ()), now)
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


def _require_known(  # noqa: PLR0913, PLR0917 - each narrows the choice
    connection: Connection,
    service: Service,
    protocols: Sequence[PushTables],
    records: Collection[str],
    entities: Collection[str],
    states: _States,
) -> None:
    """Raise UnknownName for names that are neither a record of these protocols in one of the states nor an entity of one."""

    def is_listed(
        tables: PushTables, states: Collection[RefusalState], condition: ColumnElement[bool]
    ) -> bool:
        row = select(literal(1)).where(listed_in(tables), parked.c.state.in_(states), condition).limit(1)
        return connection.execute(row).first() is not None

    def has_record(tables: PushTables, name: str) -> bool:
        return is_listed(tables, states.of_records, parked.c.record == _as_stored(tables.id, name))

    def has_entity(tables: PushTables, name: str) -> bool:
        return is_listed(tables, states.of_entities, parked.c.owner == _as_stored(tables.entities.key, name))

    unknown = [name for name in records if not any(has_record(tables, name) for tables in protocols)]
    if unknown:
        raise _not_listed(f"{states.word} record", service, unknown)
    unknown = [name for name in entities if not any(has_entity(tables, name) for tables in protocols)]
    if unknown:
        raise _not_listed(f"entity with {states.word} records", service, unknown)


@dataclass(frozen=True, slots=True)
class _States:
    """What a decision may name: records in some states, and entities with records in some states."""

    word: str
    of_records: tuple[RefusalState, ...]
    of_entities: tuple[RefusalState, ...]


def _states(decision: Decision, *, failed: bool) -> _States:
    """A record that is replayed already may be named again: the command may be repeated after a crash."""
    if failed:
        return _States("failed", FAILED, FAILED)
    if decision == "replay":
        return _States("refused or failed", (*REFUSED, *FAILED), REFUSED)
    return _States("refused", REFUSED, REFUSED)


def _not_listed(kind: str, service: Service, names: Sequence[str]) -> UnknownName:
    return UnknownName(
        f"service {service.name}", kind, ", ".join(names), hint="workmesh failed lists these records"
    )


def _is_chosen(
    tables: PushTables,
    records: Collection[str],
    entities: Collection[str],
    *,
    otherwise: ColumnElement[bool] = WAITS_FOR_DECISION,
) -> ColumnElement[bool]:
    if not records and not entities:
        return otherwise
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
