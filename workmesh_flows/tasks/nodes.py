"""The task that checks nodes before they get new entities."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from workmesh_flows.domain.node import Excluded
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.operations.health.node_check import check_limits, failing_targets
from workmesh_flows.settings import read_settings


@task(name="check targets", task_run_name="check the target nodes", cache_policy=NO_CACHE)
def check_targets(mesh: Mesh, services: Sequence[str], but: Sequence[str] = ()) -> Excluded:
    """Check the nodes that take new entities of these services, except ``but``; why some must get none, by node."""
    nodes = [node for name, node in load_inventory().nodes.items() if name not in but]
    declared = [mesh.service(name) for name in services]
    return failing_targets(nodes, declared, check_limits(read_settings().limits))
