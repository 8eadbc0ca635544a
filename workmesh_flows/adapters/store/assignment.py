"""Assignments, written so that no two runs assign the same entity twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Enum, String, select, update

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.entities import NodeTotals, node_of, read_totals, unknown_entity
from workmesh_flows.adapters.store.given_engine import require_transactions
from workmesh_flows.adapters.store.protocol_tables import entity_table
from workmesh_flows.adapters.store.schema import ensure_row, services
from workmesh_flows.adapters.store.statements import assignment
from workmesh_flows.adapters.store.weights import Weighed, weighed
from workmesh_flows.domain.service import Service

SENT_AT_ONCE = 20_000
"""Entities assigned by one statement of PostgreSQL, which still uses the index of the key for this many."""


LISTED_AT_ONCE = 5_000
"""Entities assigned by one UPDATE on other databases; SQLite takes 32,766 parameters a statement."""


@dataclass(slots=True)
class AssignmentWriter:
    """The assignment of a service's entities inside one transaction; another run of the service waits until it ends.

    ``position`` is the node that round robin assigned last. ``written`` counts the entities that were assigned; a caller
    that assigns entities by its own statements adds to it. Where it is above 0 at the end, the service's revision rises
    by 1.
    """

    connection: Connection
    service: Service
    position: str | None
    written: int = 0

    def node_totals(self) -> NodeTotals:
        """Number of entities and their weight by node, as of this transaction."""
        return read_totals(self.connection, self.service)

    def unassigned(self, limit: int | None, where: ColumnElement[bool] | None = None) -> Weighed:
        """Entities without a node, all or those matching a condition, in the order of their keys."""
        none = entity_table(self.service).node.is_(None)
        return weighed(self.connection, self.service, none if where is None else none & where, limit)

    def weighed(self, key: Any) -> Weighed:  # noqa: ANN401 - any key
        """One entity; raises UnknownName."""
        found = weighed(self.connection, self.service, entity_table(self.service).key == key)
        if not (found.entities or found.unusable):
            raise unknown_entity(self.service, key)
        return found

    def weight_of(self, key: Any) -> int:  # noqa: ANN401 - any key
        """The weight of one entity, 0 if it is unusable; raises UnknownName."""
        return next((weight for _, weight in self.weighed(key).entities), 0)

    def node_of(self, key: Any) -> str | None:  # noqa: ANN401 - any key
        """The node of one entity, None where it has none; raises UnknownName."""
        return node_of(self.connection, self.service, key)

    def write(
        self, assigned: Sequence[tuple[Any, str]], progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Assign (key, node) pairs; return the number of entities that had no node until now, and have one.

        ``progress`` is called after each statement with the number written so far, and the total.
        """
        kind = entity_table(self.service).node.type
        plain = isinstance(kind, String) and not isinstance(kind, Enum)
        arrays = plain and self.connection.dialect.name == "postgresql"
        written = 0
        for number in (_write_arrays if arrays else _write_lists)(self.connection, self.service, assigned):
            written += number
            if progress is not None:
                progress(written, len(assigned))
        self.written += written
        return written

    def save_position(self, position: str | None) -> None:
        """Save the node that round robin assigned last."""
        if position != self.position:
            own_row = services.c.service == self.service.name
            self.connection.execute(update(services).where(own_row).values(position=position))
            self.position = position


@contextmanager
def writing_assignments(
    engine: Engine, service: Service, beside: Collection[Service] = ()
) -> Iterator[AssignmentWriter]:
    """One assignment run: read and write in this block; it commits at the end, or writes nothing.

    Runs of the services ``beside`` wait too, so that the number of their entities does not change under a shared cap.
    """
    with writing_all_assignments(engine, [service], beside) as (run,):
        yield run


@contextmanager
def writing_all_assignments(
    engine: Engine, together: Sequence[Service], beside: Collection[Service] = ()
) -> Iterator[tuple[AssignmentWriter, ...]]:
    """The same for several services in one transaction: one writer each, in the given order.

    Raises ConfigurationError for an engine without transactions.
    """
    require_transactions(engine)
    names = sorted({service.name for service in (*together, *beside)})
    with translated_errors():
        for name in names:
            ensure_row(engine, services, service=name)
        with engine.begin() as connection:
            # The first statements are writes: they make a second run wait here, on both databases. They are sorted by
            # name, so that two runs never wait for each other.
            for name in names:
                lock = update(services).where(services.c.service == name)
                connection.execute(lock.values(revision=services.c.revision))
            rows = connection.execute(
                select(services.c.service, services.c.position).where(services.c.service.in_(names))
            )
            positions = dict(rows.all())
            runs = tuple(
                AssignmentWriter(connection, service, positions[service.name]) for service in together
            )
            yield runs
            changed = [run.service.name for run in runs if run.written]
            if changed:
                rows_changed = update(services).where(services.c.service.in_(changed))
                connection.execute(rows_changed.values(revision=services.c.revision + 1))


def _write_arrays(
    connection: Connection, service: Service, assigned: Sequence[tuple[Any, str]]
) -> Iterator[int]:
    """On PostgreSQL: one statement for up to SENT_AT_ONCE entities, whatever their nodes."""
    statement = assignment.write_assignments(service)
    by_key = sorted(assigned, key=itemgetter(0))  # neighbours in the index are in one statement
    for start in range(0, len(by_key), SENT_AT_ONCE):
        numbers: dict[str, int] = {}
        some = by_key[start : start + SENT_AT_ONCE]
        parameters = {
            "workmesh_keys": [key for key, _ in some],
            "workmesh_at": f"{{{','.join(str(numbers.setdefault(node, len(numbers) + 1)) for _, node in some)}}}",
        }
        yield connection.execute(statement, {**parameters, "workmesh_nodes": list(numbers)}).rowcount


def _write_lists(
    connection: Connection, service: Service, assigned: Sequence[tuple[Any, str]]
) -> Iterator[int]:
    """On other databases: one statement for up to LISTED_AT_ONCE entities of one node."""
    statement = assignment.write_assignment(service)
    keys = defaultdict[str, list[Any]](list)
    for key, node in assigned:
        keys[node].append(key)
    for node, given in keys.items():
        for start in range(0, len(given), LISTED_AT_ONCE):
            parameters = {"workmesh_keys": given[start : start + LISTED_AT_ONCE], "workmesh_node": node}
            yield connection.execute(statement, parameters).rowcount
