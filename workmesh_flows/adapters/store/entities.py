"""Entities read from the database: the node of one, and the number and weight of those of each node."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, select

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.adapters.store.protocol_tables import entity_table
from workmesh_flows.adapters.store.statements.counts import entity_counts, entity_weights, unusual_weights
from workmesh_flows.adapters.store.weights import (
    UnusableWeight,
    checked_weight,
    weighed_by_function,
    weight_column,
    weight_read,
)
from workmesh_flows.domain.criteria import EntityWeight
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import UnknownName

NodeTotals: TypeAlias = dict[str | None, tuple[int, int]]
"""Number of entities and their weight by node; None is the key of those without a node."""


@dataclass(slots=True)
class Weights:
    """Totals by node; an unusable weight counts as 0, ``unusable`` has those keys with reasons.

    ``unusable_unassigned`` is the number of those that have no node.
    """

    totals: NodeTotals = field(default_factory=dict)
    unusable: list[tuple[Any, str]] = field(default_factory=list)
    unusable_unassigned: int = 0

    def add(self, key: Any, node: str | None, weight: int | UnusableWeight, entities: int = 0) -> None:  # noqa: ANN401 - any key
        """Count the weight of an entity at its node, and the entity itself if it is not counted yet."""
        if isinstance(weight, UnusableWeight):
            self.unusable.append((key, str(weight)))
            self.unusable_unassigned += node is None
            weight = 0
        number, total = self.totals.get(node, (0, 0))
        self.totals[node] = (number + entities, total + weight)


def count_entities(connection: Connection, service: Service) -> dict[str | None, int]:
    """The number of a service's entities by node; None is the key of those without a node."""
    rows = connection.execute(entity_counts(service))
    return {row.node: row.entities for row in rows}


def totals_by_node(engine: Engine, service: Service) -> NodeTotals:
    """Number of entities and their weight by node, read in a connection of its own."""
    return weights_by_node(engine, service).totals


def weights_by_node(engine: Engine, service: Service) -> Weights:
    """The same, with the entities whose weight is unusable."""
    with translated_errors(), engine.connect() as connection:
        return read_weights(connection, service)


def node_names(engine: Engine, service: Service) -> list[str]:
    """The names of the nodes to which entities of the service are assigned."""
    node = entity_table(service).node
    with translated_errors(), engine.connect() as connection:
        return list(connection.scalars(select(node).where(node.is_not(None)).distinct().order_by(node)))


def has_unassigned(engine: Engine, service: Service) -> bool:
    """Whether an entity of the service has no node."""
    entities = entity_table(service)
    waiting = select(entities.key).where(entities.node.is_(None)).limit(1)
    with translated_errors(), engine.connect() as connection:
        return connection.execute(waiting).first() is not None


def node_of_entity(engine: Engine, service: Service, key: Any) -> str | None:  # noqa: ANN401 - any key
    """The node of one entity, None where it has none; raises UnknownName."""
    with translated_errors(), engine.connect() as connection:
        return node_of(connection, service, key)


def entity_named(service: Service, text: str) -> Any:  # noqa: ANN401 - any key
    """The key of an entity from its text, as users and plans write it; raises UnknownName where the text is no key."""
    try:
        return parse_key(entity_table(service).key, text)
    except ValueError as error:
        raise unknown_entity(service, text) from error


def known_entities(connection: Connection, service: Service, texts: Collection[str]) -> dict[str, Any]:
    """The key of each named entity that the service has, by its text; other names are left out."""
    key, keys = entity_table(service).key, {}
    for text in texts:
        with suppress(ValueError):
            keys[text] = parse_key(key, text)
    existing = set(connection.scalars(select(key).where(key.in_(keys.values()))))
    return {text: found for text, found in keys.items() if found in existing}


def node_of(connection: Connection, service: Service, key: Any) -> str | None:  # noqa: ANN401 - any key
    """The node that an entity is assigned to, None where it has none; raises UnknownName."""
    entities = entity_table(service)
    row = connection.execute(select(entities.node).where(entities.key == key)).first()
    if row is None:
        raise unknown_entity(service, key)
    node: str | None = row[0]
    return node


def unknown_entity(service: Service, key: Any) -> UnknownName:  # noqa: ANN401 - any key
    """The error that an entity does not exist, with the column that its key is looked up in."""
    column = entity_table(service).key
    hint = f"entities are named by {column.table.name}.{column.name}"
    return UnknownName(f"service {service.name}", "entity", str(key), hint=hint)


def read_totals(connection: Connection, service: Service) -> NodeTotals:
    """Number of entities and their weight by node, read in the caller's transaction; an unusable weight counts as 0."""
    return read_weights(connection, service).totals


def read_weights(connection: Connection, service: Service) -> Weights:
    """The same, with the entities whose weight is unusable."""
    if not isinstance(service.criterion, EntityWeight):
        counts = count_entities(connection, service)
        return Weights({node: (number, number) for node, number in counts.items()})
    found, weight = Weights(), weight_column(service)
    if weight is None:
        for key, node, one in weighed_by_function(connection, service):
            found.add(key, node, one, entities=1)
        return found
    rows = connection.execute(entity_weights(service, weight)).all()
    found.totals.update({row.node: (row.entities, int(row.weight)) for row in rows})
    if any(row.unusual for row in rows):
        statement = unusual_weights(service, weight, weight_read(weight))
        for row in connection.execute(statement):
            found.add(row.key, row.node, checked_weight(row.weight))
    return found
