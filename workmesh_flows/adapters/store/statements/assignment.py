"""SQL that writes the nodes of entities, as pure functions of a declaration."""

from __future__ import annotations

from sqlalchemy import ARRAY, Integer, String, Update, bindparam, cast, column, func, update
from sqlalchemy.sql.elements import Grouping

from workmesh_flows.adapters.store.protocol_tables import entity_table
from workmesh_flows.adapters.store.statements.updates import written_table
from workmesh_flows.domain.service import Service


def write_assignment(service: Service) -> Update:
    """Assign one node to those of several entities that have none yet."""
    entities = entity_table(service)
    table = written_table(entities.table)
    key, node = table.c[entities.key.key], table.c[entities.node.key]
    return (
        update(table)
        .where(key.in_(bindparam("workmesh_keys", expanding=True)), node.is_(None))
        .values({node: bindparam("workmesh_node")})
    )


def write_assignments(service: Service) -> Update:
    """Assign different nodes to those of many entities that have none yet, in one statement of PostgreSQL.

    ``workmesh_at``, an array literal ("{1,2,1}"), holds for each of ``workmesh_keys`` the position of its node in
    ``workmesh_nodes``, counted from 1: each name is sent once, whatever the number of entities. Names are sent as
    VARCHAR without a length, because PostgreSQL would silently cut them to it.
    """
    entities = entity_table(service)
    given = (
        func.unnest(
            bindparam("workmesh_keys", type_=ARRAY(entities.key.type)),
            cast(bindparam("workmesh_at", type_=String), ARRAY(Integer)),
        )
        .table_valued(
            column("key", entities.key.type), column("at", Integer), name="given", joins_implicitly=True
        )
        .render_derived()
    )
    nodes = Grouping(bindparam("workmesh_nodes", type_=ARRAY(String)))
    table = written_table(entities.table)
    key, node = table.c[entities.key.key], table.c[entities.node.key]
    return update(table).where(key == given.c.key, node.is_(None)).values({node: nodes[given.c.at]})
