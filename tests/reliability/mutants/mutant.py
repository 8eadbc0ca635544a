"""A mutant: a deliberate bug in delivery, as data; the TOML files beside this module list them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: ``file`` with ``new`` in place of ``old``; ``harm`` is its effect for a user.

    ``tests`` are test files or single tests; one of them must fail.
    """

    name: str
    harm: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    def mutated(self, text: str) -> str:
        """Return the text with the bug; raises ValueError unless ``old`` occurs once."""
        found = text.count(self.old)
        if found != 1:
            message = f"mutant {self.name!r}: its old text occurs {found} times in {self.file}; fix the list"
            raise ValueError(message)
        return text.replace(self.old, self.new)


def read_mutants() -> list[Mutant]:
    """Read all listed mutants."""
    return [
        Mutant(**entry)
        for path in sorted(LISTS.glob("*.toml"))
        for entry in tomllib.loads(path.read_text())["mutant"]
    ]
