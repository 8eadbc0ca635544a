"""The flows and nodes of the shop's service, for tests that run them."""

from __future__ import annotations

from pathlib import Path

from tests.support.fleet import Fleet
from workmesh_flows.flows import ServiceFlows, service_flows
from workmesh_flows.microservice import NodeProcess


def flows_of(fleet: Fleet) -> ServiceFlows:
    """The flows of the fleet's service; Prefect does not load them by the name of this module."""
    return service_flows(fleet.mesh, "shop.orders", module=__name__)


def shop_node(name: str, folder: Path) -> NodeProcess:
    """A node with its database in the folder; use it as a context manager."""
    return NodeProcess("tests.support.shop_micro:orders", database=folder / f"{name}.db")
