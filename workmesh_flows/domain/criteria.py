"""The criteria by which an assignment chooses a node for an entity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import ColumnElement

Weight: TypeAlias = InstrumentedAttribute[Any] | ColumnElement[Any] | Callable[[Any], int]
"""A column of the entity, a SQL expression over it, or a function of the loaded entity; integers >= 0."""


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Assign entities to the nodes in turn, by name; the position is stored in the database between runs."""


@dataclass(frozen=True, slots=True)
class EntityNumber:
    """Assign each entity to the node with the fewest entities relative to its capacity (``max_entities``)."""


@dataclass(frozen=True, slots=True, eq=False)
class EntityWeight:
    """Assign each entity to the node with the least weight relative to its capacity (``max_weight``)."""

    weight: Weight


Criterion: TypeAlias = RoundRobin | EntityNumber | EntityWeight
