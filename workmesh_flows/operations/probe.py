"""Probing nodes: whether they are reachable and accept the API key."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from workmesh_flows.adapters.node_http.client import node_client
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node, NodeState
from workmesh_flows.errors import NodeError

PROBED_AT_ONCE = 32
"""Nodes that are pinged in parallel."""
TIMEOUTS = Limits(connect_timeout=2.0, read_timeout=5.0)


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of a ping: ``version`` is the micro-service's, ``problem`` the reason where ping or version failed."""

    reachable: bool
    version: str = ""
    problem: str = ""


def probe_nodes(nodes: Iterable[Node], *, limits: Limits = TIMEOUTS) -> dict[str, Probe]:
    """Ping each node that is not disabled, in parallel, by name; a failing node is a result, and raises nothing."""
    asked = [node for node in nodes if node.state is not NodeState.DISABLED]
    with ThreadPoolExecutor(max_workers=max(1, min(len(asked), PROBED_AT_ONCE))) as pool:
        return dict(
            zip(
                (node.name for node in asked), pool.map(lambda node: _probe(node, limits), asked), strict=True
            )
        )


def _probe(node: Node, limits: Limits) -> Probe:
    pinged = False
    try:
        with node_client(node, limits) as client:
            client.ping()
            pinged = True
            return Probe(reachable=True, version=client.scrub(client.version()))
    except NodeError as error:
        return Probe(reachable=pinged, problem=error.reason)
    except Exception as error:  # noqa: BLE001 - an invalid host name may raise anything
        return Probe(reachable=False, problem=f"its address cannot be used: {type(error).__name__}")
