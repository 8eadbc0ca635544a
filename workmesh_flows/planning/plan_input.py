"""The facts that a plan was made from, in short form: a later comparison shows what has changed."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workmesh_flows.planning.moves import PlannerEntity, PlannerNode

TAKES_NO_LONGER = "no longer takes entities"
"""The change of a node to which entities could be moved when the plan was made."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node: its caps, whether it takes entities or is drained, and the number and weight of its entities.

    ``digest`` is a hash of the keys and weights of its entities.
    """

    node: str
    takes: bool
    drain: bool
    max_entities: int | None
    max_weight: int | None
    entities: int
    weight: int
    digest: str


def facts_of(entities: Sequence[PlannerEntity], nodes: Sequence[PlannerNode]) -> tuple[NodeFacts, ...]:
    """The facts of each node, sorted by its name."""
    by_node: dict[str, list[PlannerEntity]] = defaultdict(list)
    for entity in entities:
        by_node[entity.node].append(entity)
    return tuple(
        NodeFacts(
            node.node,
            node.takes,
            node.drain,
            node.max_entities,
            node.max_weight,
            len(by_node[node.node]),
            sum(entity.weight for entity in by_node[node.node]),
            _digest(sorted(f"{entity.key}:{entity.weight}" for entity in by_node[node.node])),
        )
        for node in sorted(nodes, key=lambda node: node.node)
    )


def fingerprint(service: str, kind: str, options: Mapping[str, Any], facts: Sequence[NodeFacts]) -> str:
    """A hash of a plan's input in 12 hexadecimal digits, the same on any machine."""
    content = [service, kind, dict(options), [asdict(fact) for fact in facts]]
    return _digest([json.dumps(content, sort_keys=True, default=str)])


def changes(then: Sequence[NodeFacts], now: Sequence[NodeFacts]) -> list[str]:
    """What has changed between two lists of facts, one sentence per change."""
    before, after = ({fact.node: fact for fact in facts} for facts in (then, now))
    found = [f"node {name} was removed" for name in sorted(before.keys() - after.keys())]
    found += [f"node {name} was added" for name in sorted(after.keys() - before.keys())]
    for name in sorted(before.keys() & after.keys()):
        found += (f"node {name} {change}" for change in _changed(before[name], after[name]))
    return found


def _changed(then: NodeFacts, now: NodeFacts) -> list[str]:
    found = []
    if then.takes != now.takes:
        found.append("now takes entities" if now.takes else TAKES_NO_LONGER)
    if then.drain != now.drain:
        found.append("is now drained" if now.drain else "is no longer drained")
    for cap in ("max_entities", "max_weight"):
        old, new = getattr(then, cap), getattr(now, cap)
        if old != new:
            found.append(f"had {_cap(cap, old)}, now {_cap(cap, new)}")
    if (then.entities, then.weight) != (now.entities, now.weight):
        found.append(
            f"held {then.entities:,} entities of weight {then.weight:,}, now {now.entities:,} of {now.weight:,}"
        )
    elif then.digest != now.digest:
        found.append("holds other entities, or the same entities with other weights")
    return found


def _cap(name: str, cap: int | None) -> str:
    return f"no {name}" if cap is None else f"{name} {cap:,}"


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
