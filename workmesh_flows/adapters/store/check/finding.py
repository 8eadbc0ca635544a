"""Findings of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding."""

    PROBLEM = "problem"
    """Runs will fail, or write or send wrong data."""
    ADVICE = "advice"
    """Runs work, but slower than they could, or with a risk."""
    NOTE = "note"
    """Nothing to do if it is intended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference between database and declaration, or a possible improvement.

    ``service`` and ``protocol`` are None if it concerns more than one. ``ddl`` has the statements that fix it, without
    semicolons; it is empty if manual action is required.
    """

    level: Level
    where: str
    what: str
    to_do: str
    ddl: tuple[str, ...] = ()
    service: str | None = None
    protocol: str | None = None

    def __str__(self) -> str:
        """The finding on one line."""
        place = " ".join(name for name in (self.service, self.protocol) if name)
        return f"{self.level}: {place + ': ' if place else ''}{self.where}: {self.what}; {self.to_do}"
