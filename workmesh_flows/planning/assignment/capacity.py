"""What nodes hold and may hold while a plan grows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Slots:
    """Entities that a node may still take over all services together; infinite without such a cap.

    ``given`` counts those that the plan itself put there.
    """

    free: float
    given: int = 0


@dataclass(slots=True)
class Capacity:
    """What a node holds of one service, and may hold; a cap is infinite where there is none.

    ``given`` is the weight that the plan itself put there.
    """

    node: str
    entities: int
    weight: int
    max_entities: float
    max_weight: float
    slots: Slots
    given: int = 0

    @property
    def left(self) -> float:
        """How many more entities it takes, whatever they weigh."""
        return min(self.max_entities - self.entities, self.slots.free)

    @property
    def free(self) -> float:
        """The heaviest entity that it takes."""
        return self.max_weight - self.weight

    def takes(self, weight: int) -> bool:
        """Whether one more entity fits."""
        return self.left >= 1 and self.free >= weight

    def add(self, weight: int, entities: int = 1) -> None:
        """Take entities in, of this weight together; below 0, let them go."""
        self.entities += entities
        self.weight += weight
        self.given += weight
        self.slots.free -= entities
        self.slots.given += entities
