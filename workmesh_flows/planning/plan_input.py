"""What a plan was made from, in short: enough to see later that something has changed, and what."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workmesh_flows.planning.moves import PlannerEntity, PlannerNode


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node: its caps, whether it takes entities or is to be emptied, and what it holds.

    ``digest`` is of the keys and weights of all entities that it holds.
    """

    node: str
    takes: bool
    drain: bool
    max_entities: int | None
    max_weight: int | None
    entities: int
    weight: int
    digest: str


def facts_of(held: Sequence[PlannerEntity], places: Sequence[PlannerNode]) -> tuple[NodeFacts, ...]:
    """The facts, a row a node, by name."""
    by_node: dict[str, list[PlannerEntity]] = defaultdict(list)
    for entity in held:
        by_node[entity.node].append(entity)
    return tuple(
        NodeFacts(
            place.node,
            place.takes,
            place.drain,
            place.max_entities,
            place.max_weight,
            len(by_node[place.node]),
            sum(entity.weight for entity in by_node[place.node]),
            _digest(sorted(f"{entity.key}:{entity.weight}" for entity in by_node[place.node])),
        )
        for place in sorted(places, key=lambda place: place.node)
    )


def fingerprint(service: str, kind: str, options: Mapping[str, Any], facts: Sequence[NodeFacts]) -> str:
    """The same for the same input, on any machine: 12 hexadecimal digits."""
    told = [service, kind, dict(options), [asdict(fact) for fact in facts]]
    return _digest([json.dumps(told, sort_keys=True, default=str)])


def changes(then: Sequence[NodeFacts], now: Sequence[NodeFacts]) -> list[str]:
    """What is no more as it was, a sentence each."""
    before, after = ({fact.node: fact for fact in facts} for facts in (then, now))
    found = [f"node {name} is gone" for name in sorted(before.keys() - after.keys())]
    found += [f"node {name} is new" for name in sorted(after.keys() - before.keys())]
    for name in sorted(before.keys() & after.keys()):
        found += (f"node {name} {change}" for change in _changed(before[name], after[name]))
    return found


def _changed(then: NodeFacts, now: NodeFacts) -> list[str]:
    found = []
    if then.takes != now.takes:
        found.append("takes entities now" if now.takes else "takes no entities any more")
    if then.drain != now.drain:
        found.append("is to be emptied now" if now.drain else "is not to be emptied any more")
    for cap in ("max_entities", "max_weight"):
        old, new = getattr(then, cap), getattr(now, cap)
        if old != new:
            found.append(f"had {_cap(cap, old)}, now {_cap(cap, new)}")
    if (then.entities, then.weight) != (now.entities, now.weight):
        found.append(
            f"held {then.entities:,} entities of weight {then.weight:,}, now {now.entities:,} of {now.weight:,}"
        )
    elif then.digest != now.digest:
        found.append("holds other entities, or the same with other weights")
    return found


def _cap(name: str, cap: int | None) -> str:
    return f"no {name}" if cap is None else f"{name} {cap:,}"


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
