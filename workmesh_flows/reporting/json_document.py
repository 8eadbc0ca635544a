"""The output of a command as JSON: one shape for all commands, described by docs/assets/workmesh-output.schema.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = dict[str, Any]
Tables: TypeAlias = Mapping[str, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Document:
    """What a command prints with --json.

    ``status`` is the exit status. ``problems`` are sentences about what is wrong or left. ``error`` is set if the
    command failed; its tables then have what was done before.
    """

    command: str
    at: datetime
    status: int = 0
    message: str = ""
    tables: Tables = field(default_factory=dict)
    problems: Sequence[str] = ()
    error: BaseException | None = None

    def to_json(self) -> str:
        """The document on one line, in ASCII: it can be read whatever the locale."""
        error = self.error
        content = {
            "command": self.command,
            "at": plain(self.at),
            "status": int(self.status),
            "message": self.message or None,
            "tables": {
                name: [{key: plain(value) for key, value in row.items()} for row in rows]
                for name, rows in self.tables.items()
            },
            "problems": list(self.problems),
            "error": None if error is None else {"type": type(error).__name__, "message": str(error)},
        }
        return json.dumps(content, allow_nan=False)


def rows_of(frame: pd.DataFrame, **added: object) -> list[Row]:
    """The rows of a table; keys are the column titles in snake case. ``added`` comes first in each row."""
    names = [str(column).replace(" ", "_") for column in frame.columns]
    return [
        {**added, **dict(zip(names, row, strict=True))} for row in frame.itertuples(index=False, name=None)
    ]


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - one case per type
    """A value as JSON has it: numbers as numbers, times in ISO 8601 and UTC, others as text; None for an empty one."""
    match value:
        case None | bool():
            return value
        case str():
            return str(value) or None
        case _ if value != value:  # noqa: PLR0124 - NaN, NaT
            return None
        case datetime():
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return aware.astimezone(UTC).isoformat()
        case int():
            return int(value)
        case float():
            return value if abs(value) != float("inf") else None
        case list() | tuple():
            return [plain(item) for item in value]
        case _ if hasattr(value, "item"):  # a number of numpy
            return plain(value.item())
        case _:
            return str(value)
