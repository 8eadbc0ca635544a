"""The tasks that probe nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.domain.node import Excluded, Inventory
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.health.node_check import check_limits, failing_targets
from workmesh_flows.operations.probe import Probe, probe_and_save, probed, recent_probes
from workmesh_flows.settings import read_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


def latest_probes(
    mesh: Mesh, engine: Engine, inventory: Inventory, *, anew: Callable[[str, Probe], bool]
) -> dict[str, Probe]:
    """The probes of all nodes that are not disabled, by name: the saved ones where they are recent.

    The other nodes are probed, and those for which ``anew`` returns true. Without any, there is no task run.
    """
    nodes = {node.name: node for node in probed(inventory.nodes.values())}
    seconds, now = read_settings().probe_seconds, database_clock(engine)()
    saved = recent_probes(engine, nodes, seconds=seconds, now=now)
    known = {name: found for name, found in saved.items() if not anew(name, found)}
    missing = sorted(set(nodes) - set(known))
    return {**known, **probe(mesh, missing)} if missing else known


@task(name="probe", task_run_name="probe the nodes", cache_policy=NO_CACHE)
def probe(mesh: Mesh, nodes: Sequence[str]) -> dict[str, Probe]:
    """Probe these nodes, and save the results."""
    inventory = load_inventory()
    with mesh_engine(mesh) as engine:
        return probe_and_save(engine, [inventory.nodes[name] for name in nodes if name in inventory.nodes])


@task(name="check targets", task_run_name="check the target nodes", cache_policy=NO_CACHE)
def check_targets(mesh: Mesh, services: Sequence[str], but: Sequence[str] = ()) -> Excluded:
    """Check the nodes that take new entities of these services, except ``but``; why some must get none, by node."""
    nodes = [node for name, node in load_inventory().nodes.items() if name not in but]
    declared = [mesh.service(name) for name in services]
    return failing_targets(nodes, declared, check_limits(read_settings().limits))
