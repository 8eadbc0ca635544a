"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much it matters."""

    PROBLEM = "problem"
    """Runs will fail, or write or send something wrong."""
    ADVICE = "advice"
    """It works, and slower or with less than it could."""
    NOTE = "note"
    """Nothing to do, if it is meant."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as the declaration has it, or could be better.

    ``service`` and ``protocol`` are None where it concerns more than one. ``ddl`` mends it, one statement an item,
    without semicolons; it is empty where a person has to decide.
    """

    level: Level
    where: str
    what: str
    to_do: str
    ddl: tuple[str, ...] = ()
    service: str | None = None
    protocol: str | None = None

    def __str__(self) -> str:
        """One line."""
        place = " ".join(name for name in (self.service, self.protocol) if name)
        return f"{self.level}: {place + ': ' if place else ''}{self.where}: {self.what}; {self.to_do}"
