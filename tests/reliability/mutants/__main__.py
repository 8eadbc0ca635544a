"""Apply mutants one at a time and check that a test catches each: ``make mutants``, or the names as arguments."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.reliability.mutants.copy import Copy, copied_tree
from tests.reliability.mutants.mutant import Mutant, read_mutants


@dataclass(frozen=True, slots=True)
class MutantResult:
    """The result of a mutant; ``caught`` is the test that failed, None if the mutant survived."""

    mutant: Mutant
    caught: str | None
    seconds: float
    output: str

    def __str__(self) -> str:
        """A row of the table."""
        return row(self.mutant.name, self.seconds, self.caught or f"SURVIVED: {self.mutant.harm}")


def run_mutants(copy: Copy, mutants: Sequence[Mutant]) -> Iterator[MutantResult]:
    """Run the tests of each mutant; yields the results."""
    for mutant in mutants:
        start = time.monotonic()
        with copy.mutated(mutant):
            tested = copy.test(mutant.tests, "-x")
        yield MutantResult(mutant, tested.failed, time.monotonic() - start, tested.output)


def main(names: Sequence[str]) -> int:
    """Print the table; returns 1 if a mutant survives, or if a test fails without a mutant."""
    listed = read_mutants()
    if unknown := set(names) - {mutant.name for mutant in listed}:
        print_line(
            f"No such mutants: {', '.join(sorted(unknown))}. They are listed in tests/reliability/mutants/*.toml."
        )
        return 1
    mutants = [mutant for mutant in listed if not names or mutant.name in names]
    start = time.monotonic()
    with copied_tree() as copy:
        unmutated = copy.test(sorted({test for mutant in mutants for test in mutant.tests}))
        if not unmutated.passed:
            print_line(unmutated.output + "\nThe tests must pass without a mutant.")
            return 1
        print_line(row("without a mutant", time.monotonic() - start, "all pass"))
        survived = 0
        for result in run_mutants(copy, mutants):
            print_line(str(result))
            if result.caught is None:
                survived += 1
                print_line(result.output)
    print_line(f"{len(mutants) - survived} of {len(mutants)} caught in {time.monotonic() - start:.0f} s")
    return 1 if survived else 0


def row(mutant: str, seconds: float, caught: str) -> str:
    """A row of the table: the mutant, the time of its tests, and the test that failed."""
    path, separator, test = caught.partition("::")
    shown = path.rpartition("/")[2] if separator else path
    return f"{mutant:<49} {seconds:6.1f} s  {shown}{separator}{test}"


def print_line(line: str) -> None:
    """Print a line without buffering."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
