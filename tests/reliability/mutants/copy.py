"""A copy of the source tree that is mutated, tested and restored; the tree itself is never changed."""

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
TIMEOUT = 900.0
"""Seconds for the tests of one mutant, which may keep them from ending."""
_FAILED = re.compile(r"^FAILED (\S*::[^\n]*?)(?: - .*)?$", re.MULTILINE)
_FAILURES = 1
"""The exit status of pytest if a test failed, but not if the collection failed."""


@dataclass(frozen=True, slots=True)
class TestRun:
    """The result of a run of tests; ``failed`` is the first test that failed."""

    passed: bool
    failed: str | None
    output: str


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the files that the tests need."""

    folder: Path

    def test(self, tests: Sequence[str], *options: str) -> TestRun:
        """Run tests in the copy."""
        code, output = self._run("-m", "pytest", *OPTIONS, *options, *tests)
        failed = _FAILED.search(output) if code == _FAILURES else None
        return TestRun(code == 0, failed[1] if failed else None, output)

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Apply a mutant for the length of a block."""
        path = self.folder / mutant.file
        text = path.read_text()
        path.write_text(mutant.mutated(text))
        try:
            yield
        finally:
            path.write_text(text)

    def check(self) -> None:
        """Check that the tests import the package of the copy, not the installed one."""
        code, where = self._run("-c", "import workmesh_flows as w; print(w.__file__)")
        assert (code, where.strip()) == (0, str(self.folder / "workmesh_flows/__init__.py")), where

    def _run(self, *arguments: str) -> tuple[int, str]:
        try:
            done = subprocess.run(
                [sys.executable, *arguments],
                check=False,
                cwd=self.folder,
                # Byte code is compared by time (in seconds) and size only: an equal mutant would not be noticed.
                env={**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired as late:
            return -1, f"not finished after {late.timeout:g} s"
        return done.returncode, done.stdout


@contextmanager
def copied_tree() -> Iterator[Copy]:
    """A copy in a temporary folder, which is deleted after the block."""
    with tempfile.TemporaryDirectory(prefix="workmesh-mutants-") as folder:
        copy = Copy(Path(folder).resolve())
        for name in COPIED:
            if (TREE / name).is_dir():
                shutil.copytree(TREE / name, copy.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(TREE / name, copy.folder / name)
        copy.check()
        yield copy
