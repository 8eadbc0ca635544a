"""A history in a file of JSON lines, which several threads and processes may write at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self, get_args

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from workmesh_flows.errors import WorkmeshError
from workmesh_flows.testing.history.events import Event

_REASON_LENGTH = 200


class BrokenHistory(WorkmeshError):
    """A history cannot be read; carries the file, the line and the reason."""

    def __init__(self, path: str, line: int | None, reason: str) -> None:
        super().__init__(path, line, reason)
        self.path, self.line, self.reason = path, line, reason

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}, line {self.line:,}"
        return f"{where}: {self.reason}"


class History:
    """Appends events to a file; `write` returns when the operating system has the event.

    Each event is one line, appended by one write, so that the lines of several writers do not mix. A context manager;
    `close` may be called again.
    """

    def __init__(self, path: str | Path) -> None:
        """Create the file if it does not exist; keep what it holds."""
        self.path = Path(path)
        self._file = self.path.open("ab", buffering=0)

    def __repr__(self) -> str:
        return f"History({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, event: Event) -> None:
        """Append one event; raises OSError if only a part of the line was written."""
        line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        if os.write(self._file.fileno(), line) != len(line):
            message = f"only a part of an event was written to {self.path}; is the disk full?"
            raise OSError(message)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_history(path: str | Path) -> Iterator[Event]:
    """Yield the events of a file, in order.

    Raises BrokenHistory at the first line that is not an event, and for a file without events.
    """
    empty = True
    try:
        with Path(path).open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    empty = False
                    yield _event(str(path), number, line)
    except OSError as error:
        raise BrokenHistory(str(path), None, error.strerror or str(error)) from error
    if empty:
        raise BrokenHistory(str(path), None, "the file has no events")


def _event(path: str, number: int, line: bytes) -> Event:
    try:
        return _events().validate_json(line, strict=True)
    except ValidationError as error:
        raise BrokenHistory(path, number, _reason(error)) from None


@cache
def _events() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[Event, Field(discriminator="event")])


def _reason(error: ValidationError) -> str:
    """The first problem of a line in a plain sentence, without the words of pydantic about its own types."""
    first: Any = error.errors(include_url=False, include_context=False)[0]
    given = first["input"]
    match first["type"]:
        case "json_invalid":
            text = "the line is not JSON; was it cut off?"
        case "union_tag_not_found" if isinstance(given, dict):
            text = 'the object has no "event" that names its kind'
        case "union_tag_invalid":
            text = f"an event {given['event']!r} is not known; known are {', '.join(_names())}"
        case "missing":
            text = f"the event {first['loc'][0]!r} has no {first['loc'][-1]!r}"
        case _ if len(first["loc"]) > 1:
            event, *where = first["loc"]
            text = f"{'.'.join(map(str, where))} of the event {event!r} is wrong: {first['msg']}"
        case _:
            text = "the line is JSON, but not an object"
    more = error.error_count() - 1
    return f"{text}{f' (and {more} more)' if more else ''}"[:_REASON_LENGTH]


def _names() -> list[str]:
    """The names of all events."""
    return [str(kind.__dataclass_fields__["event"].default) for kind in get_args(Event)]
