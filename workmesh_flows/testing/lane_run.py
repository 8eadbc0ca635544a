"""One run of one lane in a test, without a Prefect server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.domain.service import Database, Mesh
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane

HOLDER = "a test"
"""The name under which a test holds the lease of a lane."""


def push_once(  # noqa: PLR0913 - the three names of a lane, its mesh, and two options
    mesh: Mesh,
    service: str,
    protocol: str,
    node: Node,
    *,
    database: Database | None = None,
    limits: Limits | None = None,
) -> PushReport:
    """Push the pending records of a protocol to a node, in one run, and return its report.

    ``node`` is one that `inventory_node` returns; ``database`` replaces the mesh's own. Raises LaneStopped, whose
    ``report`` is the partial report; UnknownName when the mesh has no such service or protocol; and
    ConfigurationError when neither the mesh nor ``database`` names a database.
    """
    with opened(mesh, database) as engine:
        return push_lane(_lane_context(engine, mesh, service, protocol, node, limits))


def pull_once(  # noqa: PLR0913 - as push_once
    mesh: Mesh,
    service: str,
    protocol: str,
    node: Node,
    *,
    database: Database | None = None,
    limits: Limits | None = None,
) -> PullReport:
    """Pull the results that a node has for a protocol, in one run; arguments and errors are those of `push_once`."""
    with opened(mesh, database) as engine:
        return pull_lane(_lane_context(engine, mesh, service, protocol, node, limits))


@contextmanager
def opened(mesh: Mesh, database: Database | None) -> Iterator[Engine]:
    """An engine on a database, or else on the mesh's own, for the length of a block. Raises ConfigurationError."""
    where = mesh.database if database is None else database
    if where is None:
        raise ConfigurationError("the mesh names no database: pass database=...")
    engine = open_engine(where)
    try:
        yield engine
    finally:
        if not callable(where):
            engine.dispose()


def _lane_context(  # noqa: PLR0913, PLR0917 - the parts of a lane
    engine: Engine, mesh: Mesh, service: str, protocol: str, node: Node, limits: Limits | None
) -> LaneContext:
    of = mesh.service(service)
    return LaneContext(engine, of, of.protocol(protocol), node, HOLDER, limits or Limits())
