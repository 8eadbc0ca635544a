"""A plan of moves: which entity goes from where to where, and why; nothing of it is done yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from workmesh_flows.domain.reports import first_reason

Objective: TypeAlias = Literal["weight", "moves"]
Why: TypeAlias = Literal["drain", "over cap", "balance", "make room"]
"""Why an entity moves; one that moves to ``make room`` goes on, or was in the way of another one."""


@dataclass(frozen=True, slots=True)
class PlannerEntity:
    """An entity, the node that holds it, and its weight: 1 where the criterion counts entities."""

    key: Any
    node: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class PlannerNode:
    """A node as planners see it; a cap of None is no cap.

    ``max_entities`` is what is left of it for this service, where services share it. ``max_weight`` is set where the
    criterion weighs entities. A node that ``takes`` nothing keeps what it holds, unless it is to ``drain``.
    """

    node: str
    max_entities: int | None = None
    max_weight: int | None = None
    takes: bool = True
    drain: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """One entity's way. Moves are made in the order of the plan; those of one ``wave`` may be made side by side.

    ``gain`` is by how much the move brings its two nodes nearer to the balance, in the unit of the weight: the fall
    of the sum of their distances from their even share. One half of an exchange may have a gain below 0.
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
    """A node before and after a plan, and the cap its load is compared by (None: loads are compared plainly)."""

    node: str
    entities: int
    weight: int
    entities_after: int
    weight_after: int
    capacity: int | None = None

    def share(self, *, after: bool = False) -> float | None:
        """The part of its capacity that is in use."""
        return (self.weight_after if after else self.weight) / self.capacity if self.capacity else None


@dataclass(frozen=True, slots=True)
class MovePlan:
    """Moves in order, what could not be moved and why, and the nodes before and after.

    ``busiest`` and ``busiest_after`` are the load of the busiest node that may hold entities, divided by the even
    share: 1 is perfect. ``note`` says why a plan is empty, or falls short of what was asked.
    """

    moves: Sequence[Move]
    nodes: Sequence[NodeLoad] = ()
    stuck: Sequence[tuple[Any, str]] = ()
    busiest: float = 1.0
    busiest_after: float = 1.0
    note: str = ""

    @property
    def moved_weight(self) -> int:
        """Weight on its way, an entity that moves twice counted twice."""
        return sum(move.weight for move in self.moves)

    def __str__(self) -> str:
        """One line for people."""
        count = len(self.moves)
        sources, targets = (len({getattr(move, end) for move in self.moves}) for end in ("source", "target"))
        # Where a node is emptied, the even share is not what it was: only the end can be told.
        drains = any(move.why == "drain" for move in self.moves)
        busiest = f"busiest node at {self.busiest:.1%} of its even share"
        then = f"busiest node then at {self.busiest_after:.1%} of its even share"
        told = (
            f"{count:,} {'move' if count == 1 else 'moves'} from {sources} to {targets} "
            f"{'node' if targets == 1 else 'nodes'}, weight {self.moved_weight:,}; "
            + (then if drains else f"{busiest}, then {self.busiest_after:.1%}")
            if count
            else f"no moves; {busiest}"
        )
        stuck = f"; {len(self.stuck):,} cannot move{first_reason(self.stuck)}" if self.stuck else ""
        note = f"; {self.note}" if self.note and not (stuck and not count) else ""
        return f"{told}{stuck}{note}"
