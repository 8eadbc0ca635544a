"""Probing nodes: whether they are reachable and accept the API key, their version, and the length of their queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from workmesh_flows.adapters.node_http.client import PING, HttpNodeClient, node_client
from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.probes import SavedProbe, read_probes, save_probes
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, Node, NodeState
from workmesh_flows.errors import NodeError, NodeMisconfigured, NodeUnavailable

PROBED_AT_ONCE = 32
"""Nodes that are pinged in parallel."""
TIMEOUTS = Limits(connect_timeout=2.0, read_timeout=5.0)


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of a probe: ``version`` is the micro-service's, ``problem`` the reason where a request failed.

    A node that answers, but rejects the API key or has no ping, is ``reachable`` and does not work; one without a version
    works. ``workload`` is the length of the node's queue, None where the node does not report it.
    """

    reachable: bool
    works: bool
    version: str = ""
    problem: str = ""
    workload: int | None = None


def probe_nodes(nodes: Iterable[Node], *, limits: Limits = TIMEOUTS) -> dict[str, Probe]:
    """Ping each node that is not disabled, in parallel, by name; a failing node is a result, and raises nothing."""
    asked = probed(nodes)
    with ThreadPoolExecutor(max_workers=max(1, min(len(asked), PROBED_AT_ONCE))) as pool:
        return dict(
            zip(
                (node.name for node in asked), pool.map(lambda node: _probe(node, limits), asked), strict=True
            )
        )


def probed(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that get requests: all but disabled ones."""
    return [node for node in nodes if node.state is not NodeState.DISABLED]


def probe_and_save(engine: Engine, nodes: Iterable[Node]) -> dict[str, Probe]:
    """Probe nodes as `probe_nodes` does, and save the results for the runs that follow."""
    asked, now = probed(nodes), database_clock(engine)()
    found = probe_nodes(asked)
    save_probes(engine, [_saved(node, found[node.name], now) for node in asked])
    return found


def latest_probes(
    engine: Engine, inventory: Inventory, *, seconds: float, anew: Callable[[str, Probe], bool]
) -> dict[str, Probe]:
    """The probes of all nodes that are not disabled, by name: the saved ones that are younger than ``seconds``.

    The other nodes are probed, and those for which ``anew`` returns true.
    """
    nodes = {node.name: node for node in probed(inventory.nodes.values())}
    saved = recent_probes(engine, nodes, seconds=seconds, now=database_clock(engine)())
    known = {name: found for name, found in saved.items() if not anew(name, found)}
    missing = [node for name, node in nodes.items() if name not in known]
    return {**known, **probe_and_save(engine, missing)} if missing else known


def recent_probes(
    engine: Engine, nodes: Mapping[str, Node], *, seconds: float, now: datetime
) -> dict[str, Probe]:
    """The saved probes of these nodes that are younger than ``seconds`` and of their present blocks, by name."""
    since = now - timedelta(seconds=seconds)
    return {
        saved.node: Probe(saved.reachable, saved.works, saved.version, saved.problem, saved.workload)
        for saved in read_probes(engine)
        if saved.probed_at > since and saved.node in nodes and saved.revision == nodes[saved.node].revision
    }


def _saved(node: Node, probe: Probe, at: datetime) -> SavedProbe:
    return SavedProbe(node.name, node.revision, **asdict(probe), probed_at=at)


def _probe(node: Node, limits: Limits) -> Probe:
    works, version, workload = False, "", None
    try:
        with node_client(node, limits) as client:
            client.ping()
            works = True
            workload = _workload(client)
            version = client.scrub(client.version())
    except NodeError as error:
        # An address that cannot be used is misconfigured, too, but no request was made.
        answered = works or (isinstance(error, NodeMisconfigured) and PING in error.reason)
        return Probe(answered, works, version, error.reason, workload)
    except Exception as error:  # noqa: BLE001 - an invalid host name may raise anything
        return Probe(
            reachable=False, works=False, problem=f"its address cannot be used: {type(error).__name__}"
        )
    return Probe(reachable=True, works=True, version=version, workload=workload)


def _workload(client: HttpNodeClient) -> int | None:
    """The length of the node's queue; None where the node does not report it, which is no problem."""
    try:
        return client.workload()
    except NodeUnavailable:
        raise
    except NodeError:
        return None
