"""The check of nodes: whether each is reachable, accepts the API key and has the endpoints of its services."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from time import monotonic
from typing import TypeVar

from workmesh_flows.adapters.node_http.client import HttpNodeClient, node_client
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import BatchTooLarge, NodeError, NodeMisconfigured, RecordRefused, RequestCrashed

CHECKED_AT_ONCE = 256
"""Nodes that are checked in parallel: hundreds of nodes that do not answer cost one timeout together."""


class Fault(StrEnum):
    """Why a node does not work at all."""

    UNREACHABLE = "unreachable"
    """No connection, no answer in time, or an answer of a server that does not work."""
    KEY = "API key"
    """The node refuses the API key."""
    SETUP = "setup"
    """The address, the certificate or the endpoints are wrong."""


@dataclass(frozen=True, slots=True)
class NodeCheck:
    """The result of the check of one node; ``fault`` and ``reason`` say why it does not work at all.

    ``missing`` is what each service lacks that the node cannot serve, by the service's name. A service can be asked
    for only if one of its protocols has a ``status`` endpoint. ``clock`` is how much later the node's clock is than
    that of this machine, None if the node sends no date; ``seconds`` is how long the ping took.
    """

    fault: Fault | None = None
    reason: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    clock: timedelta | None = None
    seconds: float = 0.0

    def problem_with(self, service: str) -> str:
        """Why the node cannot serve the service; empty if it can, as far as it can be asked."""
        return self.reason or self.missing.get(service, "")


def check_node(
    node: Node, services: Iterable[Service], limits: Limits, *, version: bool = False
) -> NodeCheck:
    """Ping a node, and ask it for those of the services that it names; raises nothing.

    Only endpoints that change nothing are asked: ping, the ``status`` of each protocol, and the ``version``.
    """
    named = [service for service in services if node.runs(service.name)]
    try:
        with node_client(node, limits) as client:
            start = monotonic()
            client.ping()
            seconds, clock = monotonic() - start, _clock_difference(client.answered_at)
            missing = {service.name: why for service in named if (why := _missing(client, service))}
            return NodeCheck(
                missing=missing,
                version=_version(client) if version else "",
                clock=clock,
                seconds=seconds,
            )
    except NodeError as error:
        return NodeCheck(_fault(error), error.reason)
    except Exception as error:  # noqa: BLE001 - an invalid host name may raise anything
        return NodeCheck(Fault.SETUP, f"its address cannot be used: {type(error).__name__}")


def check_nodes(
    nodes: Iterable[Node], services: Sequence[Service], limits: Limits, *, version: bool = False
) -> dict[str, NodeCheck]:
    """Check nodes in parallel, whatever their states; the results by name."""
    return in_parallel(nodes, lambda node: check_node(node, services, limits, version=version))


def failing_targets(
    nodes: Iterable[Node], services: Sequence[Service], limits: Limits
) -> dict[str, dict[str, str]]:
    """Check the nodes that take new entities of these services; why they fail, by node and service."""
    takers = [node for node in nodes if any(node.takes_new(service.name) for service in services)]
    found = check_nodes(takers, services, limits)
    failing = {
        node.name: {
            service.name: why
            for service in services
            if node.takes_new(service.name) and (why := found[node.name].problem_with(service.name))
        }
        for node in takers
    }
    return {name: reasons for name, reasons in failing.items() if reasons}


T = TypeVar("T")


def in_parallel(nodes: Iterable[Node], ask: Callable[[Node], T]) -> dict[str, T]:
    """The result of a function for each node, by the node's name; the nodes are asked in parallel."""
    asked = list(nodes)
    with ThreadPoolExecutor(max_workers=max(1, min(len(asked), CHECKED_AT_ONCE))) as pool:
        return dict(zip((node.name for node in asked), pool.map(ask, asked), strict=True))


def check_limits(limits: Limits) -> Limits:
    """Timeouts of a check: the node has to answer within the time that is allowed for a connection."""
    return Limits(
        connect_timeout=limits.connect_timeout,
        read_timeout=min(limits.connect_timeout, limits.read_timeout),
        max_answer_bytes=limits.max_answer_bytes,
    )


def _missing(client: HttpNodeClient, service: Service) -> str:
    """Which endpoint of the service the node does not have; empty if it has all that can be asked."""
    for path in dict.fromkeys(
        protocol.pull.status for protocol in service.protocols if protocol.pull is not None
    ):
        try:
            client.post(path, {})
        except NodeMisconfigured as error:
            return f"it does not run {service.name}: {error.reason}"
        except (NodeError, RecordRefused, RequestCrashed, BatchTooLarge):
            continue  # the endpoint exists; a pull reports what is wrong with its answer
    return ""


def _version(client: HttpNodeClient) -> str:
    try:
        return client.version()
    except NodeError:
        return ""


def _fault(error: NodeError) -> Fault:
    if isinstance(error, NodeMisconfigured):
        return Fault.KEY if error.key else Fault.SETUP
    return Fault.UNREACHABLE


def _clock_difference(date: str) -> timedelta | None:
    """How much later the sender of a ``Date`` header is than this machine; the header has whole seconds."""
    try:
        sent = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    now: datetime = utc_now()
    return (sent if sent.tzinfo else sent.replace(tzinfo=UTC)) - now
