"""The metrics of a mesh as families of Prometheus, from facts that were read before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from workmesh_flows.operations.monitoring import Monitored, Stream
from workmesh_flows.planning.refusals import RefusalState
from workmesh_flows.reporting import metric_definitions as metrics
from workmesh_flows.reporting.metric_definitions import Definition

BREAKER_STATES = {"closed": 0, "half-open": 1, "open": 2}

Values: TypeAlias = Mapping[Any, float]
"""Values by their labels, in the order of the definition."""


def mesh_metrics(facts: Monitored) -> Iterator[Metric]:
    """The families of everything that the database knows."""
    yield from _records(facts)
    yield from _lanes(facts)
    yield from _entities(facts)
    yield from _nodes(facts)


def family(definition: Definition, values: Values) -> Metric:
    """A family with its values."""
    kind = CounterMetricFamily if definition.type == "counter" else GaugeMetricFamily
    made = kind(definition.name, definition.help, labels=definition.labels)
    for labels, value in values.items():
        made.add_metric(labels, value)
    return made


def _records(facts: Monitored) -> Iterator[Metric]:
    counts = {
        Stream(count.service, count.protocol, count.node or ""): count
        for count in facts.status.counts
        if count.owned
    }
    streams = [*_streams(facts), *(stream for stream in counts if not stream.node)]

    def figures(name: str) -> Values:
        return {stream: getattr(counts[stream], name) if stream in counts else 0 for stream in streams}

    def undecided(state: RefusalState) -> Values:
        return {stream: facts.undecided.get((stream, state), 0) for stream in streams}

    yield family(metrics.PENDING, figures("pending"))
    yield family(metrics.OLDEST, {stream: time.timestamp() for stream, time in facts.oldest.items()})
    yield family(metrics.IN_FLIGHT, figures("in_flight"))
    yield family(metrics.FAILED, figures("failed"))
    yield family(metrics.PARKED, undecided(RefusalState.PARKED))
    yield family(metrics.BLOCKING, undecided(RefusalState.BLOCKING))
    yield family(metrics.MISSING, figures("missing"))


def _lanes(facts: Monitored) -> Iterator[Metric]:
    """Counters and states of the lanes that ever ran; the counters of others are 0, so that their first rise is seen."""
    pushed: dict[tuple[str, ...], float] = dict.fromkeys(_streams(facts), 0.0)
    processed = dict(pushed)
    failed: dict[tuple[str, ...], float] = {}
    breakers: dict[tuple[str, ...], float] = {}
    leases: dict[tuple[str, ...], float] = {}
    for lane in facts.lanes:
        stream, direction = (lane["service"], lane["protocol"], lane["node"]), lane["direction"]
        if stream[:2] not in facts.counted:
            continue  # its protocol is not declared any more
        key = (*stream, direction)
        if direction == "push":
            pushed[stream] = lane["done"]
        if direction == facts.counted[stream[:2]]:
            processed[stream] = lane["done"]
        failed[key] = lane["refused"]
        breakers[key] = BREAKER_STATES[lane["breaker"]]
        if lane["holder"] is not None and lane["lease_until"] is not None:
            leases[key] = lane["lease_until"].timestamp()
    yield family(metrics.PUSHED, pushed)
    yield family(metrics.PROCESSED, processed)
    yield family(metrics.FAILED_ANSWERS, failed)
    yield family(metrics.BREAKER, breakers)
    yield family(metrics.LEASE, leases)


def _entities(facts: Monitored) -> Iterator[Metric]:
    entities: dict[tuple[str, ...], float] = {}
    weights: dict[tuple[str, ...], float] = {}
    unassigned: dict[tuple[str, ...], float] = {}
    for service, totals in facts.status.held.items():
        for node in _nodes_of(facts, service):
            entities[service, node], weights[service, node] = totals.get(node, (0, 0))
        unassigned[service,] = totals.get(None, (0, 0))[0]
    yield family(metrics.ENTITIES, entities)
    yield family(metrics.WEIGHT, weights)
    yield family(metrics.UNASSIGNED, unassigned)


def _nodes(facts: Monitored) -> Iterator[Metric]:
    """The last probes; where the inventory is known, those of other nodes and of earlier blocks are left out."""
    nodes = facts.status.inventory.nodes
    probes = [
        probe
        for probe in facts.probes
        if not nodes or (probe.node in nodes and nodes[probe.node].revision == probe.revision)
    ]
    yield family(metrics.REACHABLE, {(probe.node,): probe.works for probe in probes})
    yield family(metrics.PROBED, {(probe.node,): probe.probed_at.timestamp() for probe in probes})
    queues = {(probe.node,): probe.workload for probe in probes if probe.workload is not None}
    yield family(metrics.WORKLOAD, queues)


def _streams(facts: Monitored) -> list[Stream]:
    """Each protocol at each node that runs its service or holds its entities."""
    nodes = {service: _nodes_of(facts, service) for service in facts.status.held}
    return [Stream(service, protocol, node) for service, protocol in facts.counted for node in nodes[service]]


def _nodes_of(facts: Monitored, service: str) -> list[str]:
    """The nodes that run a service or hold its entities, in the order of their names."""
    running = {name for name, node in facts.status.inventory.nodes.items() if node.runs(service)}
    return sorted(running | {node for node in facts.status.held[service] if node is not None})
