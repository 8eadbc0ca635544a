"""The task that probes nodes."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from prefect import task
from prefect.context import TaskRunContext

from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.operations.probe import Probe, probe_nodes

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
