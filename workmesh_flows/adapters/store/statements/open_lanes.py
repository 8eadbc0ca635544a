"""SQL that finds the nodes for which a protocol has something to do, at the cost of the open records only.

The conditions are those of the partial indexes that `workmesh check` recommends.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, cast, literal, or_, select

from workmesh_flows.adapters.store.protocol_tables import PullTables, PushTables
from workmesh_flows.adapters.store.schema import lanes, parked, probes
from workmesh_flows.adapters.store.statements.refused import listed_in, not_parked
from workmesh_flows.domain.service import Service
from workmesh_flows.planning.refusals import RefusalState


def nodes_with_pending(tables: PushTables, *, include_parked: bool) -> Select[Any]:
    """The nodes with pending records; ``include_parked`` as for `statements.pending.pending`."""
    statement = _nodes(tables).where(tables.push_flags.success.is_not(True))
    return statement if include_parked else statement.where(not_parked(tables))


def nodes_in_flight(tables: PullTables) -> Select[Any]:
    """The nodes with records that were pushed and whose results are not pulled."""
    return _nodes(tables).where(tables.push_flags.success.is_(True), tables.pull_flags.success.is_not(True))


def nodes_of_refused(tables: PushTables, state: RefusalState) -> Select[Any]:
    """The nodes of the entities of the refused records in a state."""
    entities = tables.entities
    return (
        select(entities.node)
        .distinct()
        .select_from(parked.join(entities.table, cast(entities.key, String) == parked.c.owner))
        .where(listed_in(tables), parked.c.state == state, entities.node.is_not(None))
    )


def eventful_lanes(service: Service, direction: str) -> Select[Any]:
    """The rows of a service's lanes that a run holds, that are paused, or whose last attempt failed."""
    return select(lanes).where(
        _is(service, direction),
        or_(lanes.c.holder.is_not(None), lanes.c.retry_at.is_not(None), lanes.c.failures > 0),
    )


def unsettled_lanes(service: Service) -> Select[Any]:
    """Protocol and node of each lane that was pushed after its node's failures were settled, or before they ever were."""
    pulls = lanes.alias()
    same = and_(
        pulls.c.service == lanes.c.service,
        pulls.c.protocol == lanes.c.protocol,
        pulls.c.node == lanes.c.node,
        pulls.c.direction == "pull",
    )
    return (
        select(lanes.c.protocol, lanes.c.node)
        .select_from(lanes.outerjoin(pulls, same))
        .where(
            _is(service, "push"),
            lanes.c.last_push_time.is_not(None),
            or_(pulls.c.settled_at.is_(None), pulls.c.settled_at < lanes.c.last_push_time),
        )
    )


def resumed_lanes(service: Service) -> Select[Any]:
    """Protocol and node of each settled lane whose node had a queue later, although nothing was pushed to the node.

    It was restored from a backup, or tries records again: these may fail now.
    """
    pushes = lanes.alias()
    explained = select(literal(1)).where(
        pushes.c.node == lanes.c.node, pushes.c.last_push_time > lanes.c.settled_at
    )
    return (
        select(lanes.c.protocol, lanes.c.node)
        .join(probes, probes.c.node == lanes.c.node)
        .where(
            _is(service, "pull"),
            probes.c.workload > 0,
            probes.c.probed_at > lanes.c.settled_at,
            ~explained.exists(),
        )
    )


def _is(service: Service, direction: str) -> ColumnElement[bool]:
    return and_(lanes.c.service == service.name, lanes.c.direction == direction)


def _nodes(tables: PushTables) -> Select[Any]:
    joined = tables.joined
    return select(joined.node).distinct().select_from(joined.source).where(joined.node.is_not(None))
