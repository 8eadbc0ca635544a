"""A plan of moves between nodes, and the input of its planners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from workmesh_flows.domain.reports import counted, first_reason

Objective: TypeAlias = Literal["weight", "moves"]
Why: TypeAlias = Literal["drain", "over cap", "balance", "free capacity"]
"""Why an entity moves; the values are stored. ``free capacity``: a detour that frees capacity for others."""


@dataclass(frozen=True, slots=True)
class PlannerEntity:
    """An entity, the node that it is assigned to, and its weight: 1 if the criterion counts entities."""

    key: Any
    node: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class PlannerNode:
    """A node as input of a planner; a cap of None is no cap.

    ``max_entities`` is the cap of this service, reduced by the entities of other services if a cap over all
    services is lower. ``max_weight`` is set if the criterion is by weight. ``takes`` is whether entities may
    be moved to the node, ``drain`` whether all its entities must leave.
    """

    node: str
    max_entities: int | None = None
    max_weight: int | None = None
    takes: bool = True
    drain: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """The move of one entity. Moves are made in order; moves of the same ``wave`` may run in parallel.

    ``gain`` is the decrease in the sum of the distances of source and target from their even shares, in the
    unit of the weight. One half of an exchange may have a negative gain.
    """

    entity: Any
    source: str
    target: str
    weight: int
    why: Why
    gain: float = 0.0
    wave: int = 1


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """A node before and after a plan; loads are divided by ``capacity``, or are absolute if it is None."""

    node: str
    entities: int
    weight: int
    entities_after: int
    weight_after: int
    capacity: int | None = None

    def share(self, *, after: bool = False) -> float | None:
        """The fraction of its capacity in use; None without a capacity."""
        return (self.weight_after if after else self.weight) / self.capacity if self.capacity else None


@dataclass(frozen=True, slots=True)
class MovePlan:
    """Moves in order, entities that cannot move (``cannot_move``) with reasons, and the nodes before and after.

    ``busiest`` and ``busiest_after`` are the load of the busiest node that may receive entities, divided by
    its even share: 1 is perfect. ``note`` is why the plan is empty or incomplete.
    """

    moves: Sequence[Move]
    nodes: Sequence[NodeLoad] = ()
    cannot_move: Sequence[tuple[Any, str]] = ()
    busiest: float = 1.0
    busiest_after: float = 1.0
    note: str = ""

    @property
    def moved_weight(self) -> int:
        """Sum of the weights of all moves; an entity that moves twice counts twice."""
        return sum(move.weight for move in self.moves)

    def __str__(self) -> str:
        """One line for people."""
        count = len(self.moves)
        sources, targets = (len({getattr(move, end) for move in self.moves}) for end in ("source", "target"))
        # A drain changes the even shares, so the load before it cannot be compared with the load after it.
        drains = any(move.why == "drain" for move in self.moves)
        now = f"fullest node now: {_percent(self.busiest)} of its even share"
        after = f"{_percent(self.busiest_after)} of its even share"
        summary = (
            f"{counted(count, 'move')}, from {counted(sources, 'node')} to {counted(targets, 'node')}, weight "
            f"{self.moved_weight:,}; "
            + (f"fullest node after the plan: {after}" if drains else f"{now}; after the plan: {after}")
            if count
            else f"no moves; {now}"
        )
        unmoved = (
            f"; {counted(len(self.cannot_move), 'entity', 'entities')} cannot move{first_reason(self.cannot_move)}"
            if self.cannot_move
            else ""
        )
        note = f"; {self.note}" if self.note and not (unmoved and not count) else ""
        return f"{summary}{unmoved}{note}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
