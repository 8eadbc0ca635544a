"""A history in a file of JSON lines: written by several threads and processes at once, read back whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from workmesh_flows.errors import WorkmeshError
from workmesh_flows.testing.history.events import Event

_DETAIL = 200


class BrokenHistory(WorkmeshError):
    """A history that cannot be read: which file, which line, and why."""

    def __init__(self, path: str, line: int | None, reason: str) -> None:
        super().__init__(path, line, reason)
        self.path, self.line, self.reason = path, line, reason

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}, line {self.line:,}"
        return f"{where}: {self.reason}"


class History:
    """Appends events to a file; an event is on its way to the disk when `write` returns.

    Each event is one line and one write to the end of the file, so that lines of several writers do not mix. A
    context manager; `close` may be called again.
    """

    def __init__(self, path: str | Path) -> None:
        """The file is made where there is none; what it holds stays."""
        self.path = Path(path)
        self._file = self.path.open("ab", buffering=0)

    def __repr__(self) -> str:
        return f"History({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, event: Event) -> None:
        """Append one event; raises OSError where the disk takes no whole line."""
        line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        if os.write(self._file.fileno(), line) != len(line):
            message = f"{self.path} took only a part of an event; is the disk full?"
            raise OSError(message)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read_history(path: str | Path) -> Iterator[Event]:
    """The events of a file, in order; raises BrokenHistory at the first line that is none."""
    try:
        with Path(path).open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _event(str(path), number, line)
    except OSError as error:
        raise BrokenHistory(str(path), None, error.strerror or str(error)) from error


def _event(path: str, number: int, line: bytes) -> Event:
    try:
        return _events().validate_json(line, strict=True)
    except ValidationError as error:
        raise BrokenHistory(path, number, _reason(error)) from None


@cache
def _events() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[Event, Field(discriminator="event")])


def _reason(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    more = error.error_count() - 1
    rest = f" (and {more} more)" if more else ""
    return f"{where + ': ' if where else ''}{first['msg']}{rest}"[:_DETAIL]
