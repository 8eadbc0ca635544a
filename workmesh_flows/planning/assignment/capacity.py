"""What nodes hold and may hold while a plan grows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Slots:
    """Entities that a node may still receive over all services together; infinite without such a cap.

    ``added`` counts the entities that the plan itself assigned to the node.
    """

    free: float
    added: int = 0


@dataclass(slots=True)
class Capacity:
    """What a node holds of one service, and its caps; a missing cap is infinite.

    ``added_weight`` is the weight that the plan itself assigned to the node.
    """

    node: str
    entities: int
    weight: int
    max_entities: float
    max_weight: float
    slots: Slots
    added_weight: int = 0

    @property
    def free_entities(self) -> float:
        """Number of entities that still fit, regardless of their weight."""
        return min(self.max_entities - self.entities, self.slots.free)

    @property
    def free_weight(self) -> float:
        """Weight that still fits; negative if the node exceeds its cap."""
        return self.max_weight - self.weight

    def add(self, weight: int, entities: int = 1) -> None:
        """Add entities of this total weight; negative numbers remove them."""
        self.entities += entities
        self.weight += weight
        self.added_weight += weight
        self.slots.free -= entities
        self.slots.added += entities
