"""Seed bugs, one at a time, and see that the tests catch each: ``make mutants``, or by name as arguments."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.reliability.mutants.copy import Copy, copied_tree
from tests.reliability.mutants.mutant import Mutant, read_mutants


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant; ``caught`` names the test that failed, None where it survived."""

    mutant: Mutant
    caught: str | None
    seconds: float
    output: str

    def __str__(self) -> str:
        """A row of the table."""
        return row(self.mutant.name, self.seconds, self.caught or f"SURVIVED: {self.mutant.harm}")


def hunt(copy: Copy, mutants: Sequence[Mutant]) -> Iterator[Outcome]:
    """Each mutant, and which test catches it."""
    for mutant in mutants:
        began = time.monotonic()
        with copy.mutated(mutant):
            tested = copy.test(mutant.tests, "-x")
        yield Outcome(mutant, tested.failed, time.monotonic() - began, tested.output)


def main(names: Sequence[str]) -> int:
    """Print the table; 1 where a mutant survives, or where the tests fail without one."""
    listed = read_mutants()
    if unknown := set(names) - {mutant.name for mutant in listed}:
        say(
            f"No such mutants: {', '.join(sorted(unknown))}. They are listed in tests/reliability/mutants/*.toml."
        )
        return 1
    mutants = [mutant for mutant in listed if not names or mutant.name in names]
    began = time.monotonic()
    with copied_tree() as copy:
        unmutated = copy.test(sorted({test for mutant in mutants for test in mutant.tests}))
        if not unmutated.passed:
            say(unmutated.output + "\nThe tests have to pass before a bug is seeded.")
            return 1
        say(row("without a bug", time.monotonic() - began, "all pass"))
        survived = 0
        for outcome in hunt(copy, mutants):
            say(str(outcome))
            if outcome.caught is None:
                survived += 1
                say(outcome.output)
    say(f"{len(mutants) - survived} of {len(mutants)} caught in {time.monotonic() - began:.0f} s")
    return 1 if survived else 0


def row(mutant: str, seconds: float, caught: str) -> str:
    """A row of the table: what was seeded, how long its tests took, the test that failed."""
    path, separator, test = caught.partition("::")
    shown = path.rpartition("/")[2] if separator else path
    return f"{mutant:<49} {seconds:6.1f} s  {shown}{separator}{test}"


def say(line: str) -> None:
    """To whoever watches, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
