"""What happened beside the history: a line each, from all processes, into one file."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

UNEXPECTED = "unexpected"


class Notes:
    """Appends notes, each a kind and a text; a line is written whole, whoever is killed meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)

    def write(self, kind: str, said: object) -> None:
        self._file.write(orjson.dumps([kind, str(said)], option=orjson.OPT_APPEND_NEWLINE))

    @contextmanager
    def watching(self, actor: str) -> Iterator[None]:
        """Note what goes wrong that should not, and go on."""
        try:
            yield
        except Exception:  # noqa: BLE001 - whatever it is, the soak has failed and says so at its end
            self.write(UNEXPECTED, f"{actor}: {traceback.format_exc()}")

    def counts(self) -> Counter[str]:
        return Counter(kind for kind, _ in self._lines())

    def of(self, kind: str) -> list[str]:
        return [said for of, said in self._lines() if of == kind]

    def close(self) -> None:
        self._file.close()

    def _lines(self) -> Iterator[tuple[str, str]]:
        with self.path.open("rb") as lines:
            for line in lines:
                kind, said = orjson.loads(line)
                yield kind, said
