"""Nodes of a service that are much fuller than others: rebalance evens them out."""

from __future__ import annotations

from dataclasses import dataclass

from workmesh_flows.operations.status import Status

TIMES = 3
"""A node is too full if it is this many times as full as another one."""
FEW = 10
"""Entities up to which a node is never too full: they cannot be spread evenly."""


@dataclass(frozen=True, slots=True)
class UnevenLoad:
    """The fullest and the emptiest active node of a service, and what they hold in ``unit``."""

    service: str
    unit: str
    fullest: str
    most: int
    emptiest: str
    least: int


def uneven_load(status: Status, service: str) -> UnevenLoad | None:
    """The two nodes between which the load differs most, if one is three times as full as the other.

    Nodes are compared by the share of their caps that is in use if all have a cap, otherwise by what they hold.
    """
    nodes = {name: node for name, node in status.inventory.nodes.items() if node.takes_new(service)}
    if len(nodes) < 2:  # noqa: PLR2004 - there is nothing to compare
        return None
    weighed = service in status.weighed
    held = {name: status.held[service].get(name, (0, 0)) for name in nodes}
    caps = {
        name: (node.max_weight if weighed else node.max_entities).get(service) for name, node in nodes.items()
    }
    by_share = all(caps.values())
    full = {name: held[name][weighed] / (caps[name] or 1 if by_share else 1) for name in sorted(nodes)}
    fullest, emptiest = max(full, key=full.__getitem__), min(full, key=full.__getitem__)
    if held[fullest][0] <= FEW or full[fullest] < TIMES * full[emptiest]:
        return None
    unit = "weight" if weighed else "entities"
    return UnevenLoad(service, unit, fullest, held[fullest][weighed], emptiest, held[emptiest][weighed])
