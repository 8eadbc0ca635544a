"""A copy of the tree: mutated, tested and put back; the tree itself is never touched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.mutants.mutant import Mutant

TREE = Path(__file__).parents[3]
COPIED = ("pyproject.toml", "tests", "workmesh_flows")
OPTIONS = ("-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "--hypothesis-seed=0")
LONGEST = 900.0
"""Seconds that the tests of one mutant may take: a bug may keep them from ending."""
_FAILED = re.compile(r"^FAILED (\S*::[^\n]*?)(?: - .*)?$", re.MULTILINE)
_FAILURES = 1
"""What pytest ends with where tests failed, and not the collecting of them."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of a run of tests; ``failed`` is the first one that failed."""

    passed: bool
    failed: str | None
    output: str


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of what the tests need."""

    folder: Path

    def test(self, tests: Sequence[str], *options: str) -> Tested:
        """Run tests in the copy."""
        code, output = self._run("-m", "pytest", *OPTIONS, *options, *tests)
        failed = _FAILED.search(output) if code == _FAILURES else None
        return Tested(code == 0, failed[1] if failed else None, output)

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """The copy with a bug in it, for the length of a block."""
        path = self.folder / mutant.file
        text = path.read_text()
        path.write_text(mutant.mutated(text))
        try:
            yield
        finally:
            path.write_text(text)

    def check(self) -> None:
        """The package of the copy is what its tests import, not the one that is installed."""
        code, where = self._run("-c", "import workmesh_flows as w; print(w.__file__)")
        assert (code, where.strip()) == (0, str(self.folder / "workmesh_flows/__init__.py")), where

    def _run(self, *arguments: str) -> tuple[int, str]:
        try:
            done = subprocess.run(
                [sys.executable, *arguments],
                check=False,
                cwd=self.folder,
                # Byte code is told apart by second and size only: a mutant of both alike would not be seen.
                env={**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LONGEST,
            )
        except subprocess.TimeoutExpired as late:
            return -1, f"no end after {late.timeout:g} s"
        return done.returncode, done.stdout


@contextmanager
def copied_tree() -> Iterator[Copy]:
    """A copy in a temporary folder, removed with the block."""
    with tempfile.TemporaryDirectory(prefix="workmesh-mutants-") as folder:
        copy = Copy(Path(folder).resolve())
        for name in COPIED:
            if (TREE / name).is_dir():
                shutil.copytree(TREE / name, copy.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(TREE / name, copy.folder / name)
        copy.check()
        yield copy
