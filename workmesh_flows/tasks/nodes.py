"""The tasks that probe nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from workmesh_flows.domain.node import Excluded
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.operations.health.node_check import check_limits, failing_targets
from workmesh_flows.operations.probe import Probe, probe_nodes
from workmesh_flows.settings import read_settings

PROBE_SECONDS = 10
"""Seconds for which runs reuse the result of a probe."""


def probe_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """A cache key: the names and addresses of the probed nodes."""
    del context
    targets = sorted(parameters["addresses"].items())
    return "workmesh-probe-" + hashlib.sha256(repr(targets).encode()).hexdigest()


@task(
    name="probe",
    task_run_name="probe the nodes",
    persist_result=True,
    cache_key_fn=probe_key,
    cache_expiration=timedelta(seconds=PROBE_SECONDS),
)
def probe(addresses: dict[str, str]) -> dict[str, Probe]:
    """Ping the nodes of the inventory with these names; ``addresses``, by name, only makes the cache key."""
    inventory = load_inventory()
    return probe_nodes(node for name, node in inventory.nodes.items() if name in addresses)


@task(name="check targets", task_run_name="check the target nodes", cache_policy=NO_CACHE)
def check_targets(mesh: Mesh, services: Sequence[str], but: Sequence[str] = ()) -> Excluded:
    """Check the nodes that take new entities of these services, except ``but``; why some must get none, by node."""
    nodes = [node for name, node in load_inventory().nodes.items() if name not in but]
    declared = [mesh.service(name) for name in services]
    return failing_targets(nodes, declared, check_limits(read_settings().limits))
