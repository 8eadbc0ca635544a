"""A mutant: a seeded bug of delivery, as data; the lists are the TOML files beside this one."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: ``file`` with ``new`` in place of ``old``; ``harm`` is what a user would see of it.

    ``tests`` are files of tests, or single ones; one of them has to fail.
    """

    name: str
    harm: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    def mutated(self, text: str) -> str:
        """The file with the bug in it; raises ValueError where the bug has no place, or more than one."""
        found = text.count(self.old)
        if found != 1:
            message = f"mutant {self.name!r}: its old text occurs {found} times in {self.file}; mend the list"
            raise ValueError(message)
        return text.replace(self.old, self.new)


def read_mutants() -> list[Mutant]:
    """All that are listed."""
    return [
        Mutant(**entry)
        for path in sorted(LISTS.glob("*.toml"))
        for entry in tomllib.loads(path.read_text())["mutant"]
    ]
