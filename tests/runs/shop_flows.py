"""The flows of the shop, and nodes that accept every record and have processed none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.operations.delivery.lane_runs import STATUS
from tests.support.fleet import Fleet
from tests.support.scripted_node import API_KEY, Answer, Asked, ScriptedNode, scripted_node, success
from workmesh_flows.flows import MeshFlows, ServiceFlows, mesh_flows, service_flows


@contextmanager
def nodes(fleet: Fleet, *names: str, **more: Any) -> Iterator[dict[str, ScriptedNode]]:
    """Nodes of these names, running and in the inventory."""
    with ExitStack() as stack:
        running = {name: stack.enter_context(scripted_node(nothing_processed)) for name in names}
        for name, node in running.items():
            fleet.register(name, node.port, API_KEY, **more)
        yield running


def nothing_processed(asked: Asked) -> Answer:
    return success(None if asked.path == STATUS else "")


def flows_of(fleet: Fleet) -> ServiceFlows:
    return service_flows(fleet.mesh, "shop.orders", module=__name__)


def mesh_flows_of(fleet: Fleet) -> MeshFlows:
    return mesh_flows(fleet.mesh, module=__name__)


def api() -> str:
    from prefect.settings import get_current_settings

    return str(get_current_settings().api.url)
