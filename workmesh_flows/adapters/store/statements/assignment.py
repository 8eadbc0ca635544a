"""SQL that writes nodes on entities, as pure functions of a declaration."""

from __future__ import annotations

from sqlalchemy import ARRAY, Integer, String, Update, bindparam, cast, column, func, update
from sqlalchemy.sql.elements import Grouping

from workmesh_flows.adapters.store.statements.records import entity_key
from workmesh_flows.domain.columns import column_of, table_of
from workmesh_flows.domain.service import Service


def write_assignment(service: Service) -> Update:
    """One node for several entities, those of them that have none yet."""
    assigned, key = column_of(service.assigned_to), entity_key(service)
    return (
        update(table_of(service.entity))
        .where(key.in_(bindparam("workmesh_keys", expanding=True)), assigned.is_(None))
        .values({assigned: bindparam("workmesh_node")})
    )


def write_assignments(service: Service) -> Update:
    """Nodes for many entities, those of them that have none yet, in one statement of PostgreSQL.

    ``workmesh_at``, an array written out ("{1,2,1}"), says for each of ``workmesh_keys`` which of ``workmesh_nodes`` it
    gets, counted from 1: a name is sent once, whatever the number of entities. Names go without a length, since
    PostgreSQL would cut them to it without a word.
    """
    assigned, key = column_of(service.assigned_to), entity_key(service)
    given = (
        func.unnest(
            bindparam("workmesh_keys", type_=ARRAY(key.type)),
            cast(bindparam("workmesh_at", type_=String), ARRAY(Integer)),
        )
        .table_valued(column("key", key.type), column("at", Integer), name="given", joins_implicitly=True)
        .render_derived()
    )
    nodes = Grouping(bindparam("workmesh_nodes", type_=ARRAY(String)))
    return (
        update(table_of(service.entity))
        .where(key == given.c.key, assigned.is_(None))
        .values({assigned: nodes[given.c.at]})
    )
