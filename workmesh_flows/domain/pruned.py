"""What a prune deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Place: TypeAlias = Literal["Prefect", "database"]
Kind: TypeAlias = Literal[
    "flow runs",
    "artifacts",
    "moves",
    "plans",
    "former pushes",
    "missing records",
    "skipped records",
    "lanes",
]

PLACES: dict[Kind, Place] = {
    "moves": "database",
    "plans": "database",
    "former pushes": "database",
    "missing records": "database",
    "skipped records": "database",
    "lanes": "database",
    "artifacts": "Prefect",
    "flow runs": "Prefect",
}
"""All kinds, in the order in which a run deletes them, and where each is stored."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """A number of rows of one kind that were deleted, or that a dry run would delete."""

    kind: Kind
    number: int
