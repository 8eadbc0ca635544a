"""A log of the soak beside its history: one line for each incident, from all processes, in one file."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

UNEXPECTED = "unexpected"


class RunLog:
    """Appends lines, each a kind and a text; a line is written by one write, so that a kill cannot cut it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)

    def write(self, kind: str, text: object) -> None:
        self._file.write(orjson.dumps([kind, str(text)], option=orjson.OPT_APPEND_NEWLINE))

    @contextmanager
    def catching(self, actor: str) -> Iterator[None]:
        """Log an unexpected exception, and continue."""
        try:
            yield
        except Exception:  # noqa: BLE001 - any exception makes the soak fail at its end
            self.write(UNEXPECTED, f"{actor}: {traceback.format_exc()}")

    def counts(self) -> Counter[str]:
        return Counter(kind for kind, _ in self._lines())

    def of(self, kind: str) -> list[str]:
        return [text for found, text in self._lines() if found == kind]

    def close(self) -> None:
        self._file.close()

    def _lines(self) -> Iterator[tuple[str, str]]:
        with self.path.open("rb") as lines:
            for line in lines:
                kind, text = orjson.loads(line)
                yield kind, text
