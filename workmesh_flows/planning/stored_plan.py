"""A plan with the facts it was made from, written to JSON and read back; equal plans have equal JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from workmesh_flows.domain.reports import excluded_in_words
from workmesh_flows.planning.moves import Move, MovePlan, NodeLoad
from workmesh_flows.planning.plan_input import NodeFacts, fingerprint

Kind: TypeAlias = Literal["rebalance", "drain"]


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan of one service with its input: the options and the facts.

    ``options`` are those of the planner and of the hand-over, as JSON values. In a plan that was read back,
    the keys of entities are strings. ``excluded`` are the nodes that get no entities because a check found that they
    do not work, with the reason.
    """

    service: str
    kind: Kind
    plan: MovePlan
    facts: Sequence[NodeFacts]
    options: Mapping[str, Any] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Kind and hash of the input: the same options and facts give the same id."""
        return f"{self.kind}-{fingerprint(self.service, self.kind, self.options, self.facts)}"

    def __str__(self) -> str:
        """One line for people."""
        excluded = excluded_in_words(self.excluded)
        return f"{self.kind} of {self.service}: {self.plan}{excluded} (plan {self.id})"

    def to_json(self) -> str:
        """The plan as JSON with sorted keys; the database stores it, so the keys must not change."""
        plan = self.plan
        content = {
            "service": self.service,
            "kind": self.kind,
            "options": dict(self.options),
            "facts": [asdict(fact) for fact in self.facts],
            "excluded": dict(self.excluded),
            "plan": {
                **{name: getattr(plan, name) for name in ("busiest", "busiest_after", "note")},
                "moves": [{**asdict(move), "entity": str(move.entity)} for move in plan.moves],
                "nodes": [asdict(node) for node in plan.nodes],
                "stuck": [[str(key), why] for key, why in plan.cannot_move],
            },
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> StoredPlan:
        """Read the output of :meth:`to_json`."""
        content = json.loads(text)
        body = content["plan"]
        plan = MovePlan(
            moves=tuple(Move(**move) for move in body["moves"]),
            nodes=tuple(NodeLoad(**node) for node in body["nodes"]),
            cannot_move=tuple((key, why) for key, why in body["stuck"]),
            busiest=body["busiest"],
            busiest_after=body["busiest_after"],
            note=body["note"],
        )
        facts = tuple(NodeFacts(**fact) for fact in content["facts"])
        excluded = content.get("excluded", {})  # plans of earlier versions have none
        return cls(content["service"], content["kind"], plan, facts, content["options"], excluded)
