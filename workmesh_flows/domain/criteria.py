"""The criteria: how a node is chosen for an entity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import ColumnElement

Weight: TypeAlias = InstrumentedAttribute[Any] | ColumnElement[Any] | Callable[[Any], int]
"""A column of the entity, a SQL expression over it, or a function of the loaded entity; integers of at least 0."""


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """One node after the other, by name; the position is kept in the database, so it survives processes."""


@dataclass(frozen=True, slots=True)
class EntityNumber:
    """The node holding the fewest entities for its capacity (``max_entities``) comes first."""


@dataclass(frozen=True, slots=True, eq=False)
class EntityWeight:
    """The node carrying the least weight for its capacity (``max_weight``) comes first."""

    weight: Weight


Criterion: TypeAlias = RoundRobin | EntityNumber | EntityWeight
