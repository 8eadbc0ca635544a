"""Tables in the form that artifacts need: rows of plain JSON, short cells, and lists below for what is longer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from workmesh_flows.reporting.markdown import escaped

if TYPE_CHECKING:
    import pandas as pd

CELL = 60
"""Characters of a text in a cell; cells do not wrap."""
LISTED = 50
"""Lines of a list below a table."""


def rows_of(frame: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """A frame's rows as plain JSON: no NaN, no infinity, no numpy types."""
    rows: list[dict[str, Any]] = json.loads(frame[list(columns)].to_json(orient="records", date_format="iso"))
    return rows


def short(text: str) -> str:
    """A text cut to the length of a cell, with an ellipsis if something is missing."""
    return text if len(text) <= CELL else f"{text[: CELL - 1].rstrip()}…"


def listed(texts: Iterable[str]) -> str:
    """A Markdown list of texts in full, for below a table whose cells cut them; empty without texts."""
    lines = list(texts)
    more = [f"and {len(lines) - LISTED:,} more"] if len(lines) > LISTED else []
    items = "\n".join(f"- {escaped(text)}" for text in [*lines[:LISTED], *more])
    return f"\n\n{items}" if items else ""


def as_text(frame: pd.DataFrame) -> str:
    """A frame as a block of text: Prefect's page renders the columns of Markdown tables without space between them."""
    names = frame[frame.columns[0]].astype(str)
    width = max([len(name) for name in names] + [len(str(names.name))])
    shown = frame.fillna("").assign(**{str(names.name): names.str.ljust(width)})
    return f"```text\n{shown.to_string(index=False)}\n```"
