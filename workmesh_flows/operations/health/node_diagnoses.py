"""What the doctor says about nodes: each fault with the field or command that fixes it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta

from workmesh_flows.domain.answers import KEY_ADVICE
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, Node, NodeState, likely_misspelling
from workmesh_flows.domain.reports import counted
from workmesh_flows.domain.service import Service
from workmesh_flows.operations.health.diagnosis import Diagnosis, Result
from workmesh_flows.operations.health.node_check import Fault, NodeCheck

CLOCK = timedelta(seconds=30)
"""Difference of clocks from which on it is reported."""
_CONNECTION = (
    ("name resolution", "fix the host in its block, or the name service of this machine"),
    ("name or service not known", "fix the host in its block"),
    ("nodename nor servname", "fix the host in its block"),
    ("no address", "fix the host in its block"),
    ("ssl", "fix the scheme in its block: http or https"),
    ("answers 5", "read the node's log: it is reachable, but does not work"),
    ("not json", "fix host and port in its block: another server answers there"),
    ("without a status", "fix host and port in its block: another server answers there"),
    ("not http", "fix scheme and port in its block: another server answers there"),
)
"""Parts of the reasons why a node is unreachable, in lower case, with what to do."""
_START = "start the node, or fix host and port in its block"
_CERTIFICATE = (
    (
        "client certificate",
        "fix the client certificate and its key in the block, or put both on this machine",
    ),
    ("expired", "renew the node's certificate, or that of its CA"),
    ("mismatch", "fix the host in its block, or give the node a certificate for this host"),
    ("not valid for", "fix the host in its block, or give the node a certificate for this host"),
    ("cannot be read", "put the CA file on this machine, or fix the CA file in its block"),
)
_TRUST = "enter the CA file in its block (field CA file)"


def inventory_diagnoses(
    inventory: Inventory, services: Sequence[Service], held: Mapping[str, Collection[str]]
) -> Iterator[Diagnosis]:
    """Invalid blocks, services that no active node runs, and names that hold entities without having a block.

    ``held`` are the services of which each node holds entities, by its name.
    """
    for name, problem in sorted(inventory.problems.items()):
        yield Diagnosis(
            f"node {name}", "block", Result.PROBLEM, problem, f"correct the block in the UI: Blocks, {name}"
        )
    if not inventory.nodes and not inventory.problems:
        yield Diagnosis(
            "nodes", "blocks", Result.PROBLEM, "there is no node", "workmesh nodes import nodes.yaml"
        )
    for service in services:
        if inventory.nodes and not any(node.takes_new(service.name) for node in inventory.nodes.values()):
            yield Diagnosis(
                f"service {service.name}",
                "nodes",
                Result.PROBLEM,
                "no active node runs it",
                f"add {service.name} to the services in the block of a node, or set such a node to active",
            )
    for name, of in sorted(held.items()):
        if name not in inventory.nodes and name not in inventory.problems:
            detail = f"it holds entities of {', '.join(of)}, but has no block"
            yield Diagnosis(
                f"node {name}",
                "block",
                Result.PROBLEM,
                detail,
                f"add its block, or: workmesh drain {name} --apply",
            )


def node_diagnoses(
    node: Node, check: NodeCheck | None, services: Sequence[Service], limits: Limits
) -> Iterator[Diagnosis]:
    """All diagnoses of one node: a single one if everything works; ``check`` is None for a disabled node."""
    subject = f"node {node.name}"
    if doubt := likely_misspelling(node.services, [service.name for service in services]):
        yield Diagnosis(subject, "services", Result.WARNING, doubt, "correct the services in its block")
    if check is None:
        state = NodeState.DISABLED.value
        yield Diagnosis(subject, "state", Result.OK, f"{state}: it is not contacted")
        return
    if check.fault is not None:
        yield _fault(subject, check.fault, check.reason)
        return
    for service, reason in check.missing.items():
        to_do = f"start the micro-service on the node, or remove {service} from the services in its block"
        yield Diagnosis(subject, "services", Result.PROBLEM, reason, to_do)
    if check.clock is not None and abs(check.clock) > CLOCK:
        side = "ahead of" if check.clock > timedelta() else "behind"
        detail = f"its clock is {abs(check.clock).total_seconds():,.0f} s {side} that of this machine"
        yield Diagnosis(
            subject, "clock", Result.WARNING, detail, "synchronize the clocks of both machines (NTP)"
        )
    if not check.missing:
        yield Diagnosis(
            subject, "connection, API key, services", Result.OK, _summary(node, check, services, limits)
        )


def _fault(subject: str, fault: Fault, reason: str) -> Diagnosis:
    text = reason.lower()
    if fault is Fault.KEY:
        detail = reason.replace(KEY_ADVICE.format(node=subject.removeprefix("node ")), "")
        return Diagnosis(
            subject, "API key", Result.PROBLEM, detail, "write the node's key into its block (field API key)"
        )
    if fault is Fault.UNREACHABLE:
        to_do = next((fix for part, fix in _CONNECTION if part in text), _START)
        return Diagnosis(subject, "connection", Result.PROBLEM, reason, to_do)
    if "certificate" in text or "ca file" in text:
        to_do = next((fix for part, fix in _CERTIFICATE if part in text), _TRUST)
        return Diagnosis(subject, "TLS certificate", Result.PROBLEM, reason, to_do)
    if "proxy" in text:
        return Diagnosis(subject, "proxy", Result.PROBLEM, reason, "fix the proxy in its block")
    if "is refused" in text:
        return Diagnosis(subject, "ping", Result.PROBLEM, reason, "read the node's log: it refuses a ping")
    to_do = (
        "fix host, port and path in its block: another server, or another version of the micro-service, answers "
        "there"
    )
    return Diagnosis(subject, "address", Result.PROBLEM, reason, to_do)


def _summary(node: Node, check: NodeCheck, services: Sequence[Service], limits: Limits) -> str:
    """What a node that works has answered, and how many records a request to it may have."""
    parts = [f"answers in {check.seconds * 1_000:,.0f} ms"]
    if check.version:
        parts.append(f"version {check.version}")
    for service in services:
        if node.runs(service.name):
            askable = any(protocol.pull is not None for protocol in service.protocols)
            asked = "runs" if askable else "cannot be asked for"
            parts.append(f"{asked} {service.name} ({_batches(node, service, limits)})")
    return ", ".join(parts)


def _batches(node: Node, service: Service, limits: Limits) -> str:
    """The largest number of records in a request, of each protocol that pushes."""
    sizes = {}
    for protocol in service.protocols:
        if protocol.push is not None:
            caps = (protocol.push.size or 1, node.max_batch.get(service.name), limits.max_batch)
            sizes[protocol.name] = min(cap for cap in caps if cap is not None)
    if len(set(sizes.values())) == 1:
        return f"{counted(next(iter(sizes.values())), 'record')} per request"
    return ", ".join(f"{name}: {counted(size, 'record')}" for name, size in sizes.items()) or "no push"
