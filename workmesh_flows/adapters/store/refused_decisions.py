"""What a person decides about refused records: they are replayed, or skipped."""

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
from workmesh_flows.adapters.store.schema import ensure_row, parked, services
from workmesh_flows.adapters.store.statements.records import entity_key
from workmesh_flows.adapters.store.statements.refused import refused_in
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import UnknownName
from workmesh_flows.planning.refusals import RefusalState

Decision: TypeAlias = Literal["replay", "skip"]
UNDECIDED = (RefusalState.PARKED, RefusalState.BLOCKING)


def decide(  # noqa: PLR0913 - each narrows the choice
    engine: Engine,
    service: Service,
    protocols: Sequence[Protocol],
    decision: Decision,
    *,
    records: Collection[str] = (),
    entities: Collection[str] = (),
) -> int:
    """Replay or skip refused records: those named, those of the entities named, or all that wait for a decision.

    A replayed record gets its tries anew; a skipped one is not sent any more, and what waits behind it goes on. Both
    make a push that runs meanwhile read the lane from its beginning again, so that what comes free keeps its order.
    Returns how many records it was. Raises UnknownName, and changes nothing, where one of what is named was not refused.
    """
    changed = 0
    with translated_errors():
        ensure_row(engine, services, service=service.name)
        with engine.begin() as connection:
            _require_known(connection, service, protocols, records, entities)
            mine = services.c.service == service.name
            connection.execute(update(services).where(mine).values(revision=services.c.revision + 1))
            for protocol in protocols:
                chosen = _chosen(service, protocol, records, entities)
                row = and_(refused_in(service, protocol), chosen)
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
    protocols: Sequence[Protocol],
    records: Collection[str],
    entities: Collection[str],
) -> None:
    """Raise UnknownName for the names that no refused record of these protocols has, or no entity of one."""
    keys = {protocol: column_of(protocol.id) for protocol in protocols}
    owners = dict.fromkeys(protocols, entity_key(service))

    def is_known(column: Column[Any], key: Column[Any], protocol: Protocol, said: str) -> bool:
        row = select(literal(1)).where(refused_in(service, protocol), column == _as_stored(key, said))
        return connection.execute(row.limit(1)).first() is not None

    for kind, column, key_of, names in (
        ("refused record", parked.c.record, keys, records),
        ("entity with refused records", parked.c.owner, owners, entities),
    ):
        strangers = [
            said
            for said in names
            if not any(is_known(column, key, protocol, said) for protocol, key in key_of.items())
        ]
        if strangers:
            raise UnknownName(
                f"{kind} of {service.name}",
                ", ".join(strangers),
                hint="workmesh parked shows those there are",
            )


def _chosen(
    service: Service, protocol: Protocol, records: Collection[str], entities: Collection[str]
) -> ColumnElement[bool]:
    if not records and not entities:
        return parked.c.state.in_(UNDECIDED)
    key, owner = column_of(protocol.id), entity_key(service)
    return or_(
        parked.c.record.in_([_as_stored(key, said) for said in records]),
        parked.c.owner.in_([_as_stored(owner, said) for said in entities]),
    )


def _as_stored(column: Column[Any], said: str) -> ColumnElement[str]:
    """A key as people write it, as our table keeps it: the database's own text."""
    if isinstance(column.type, TypeDecorator):  # which values it takes is the user's own affair
        return literal(said)
    try:
        return cast(literal(parse_key(column, said), column.type), String)
    except ValueError:
        return literal(said)
