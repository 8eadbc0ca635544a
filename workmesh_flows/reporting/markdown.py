"""Markdown as Prefect's pages render it: tables, links, pictures as data addresses."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime

import pandas as pd

SPECIAL = re.compile(r"([\\`*_\[\]<>|])")
SAID = 200
"""Characters of a text that is cut."""
ROWS = 50
"""Rows of a table in a page; the artifacts that are tables have them all."""


class Link(str):
    """Markdown that is not escaped any more."""

    __slots__ = ()


def escaped(text: object) -> str:
    """A text that shows as it is, on one line: in a table a line break or a bar would end the cell."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def link(text: object, address: str) -> Link:
    """A link."""
    return Link(f"[{escaped(text)}]({address})")


def linked(text: str, address: str) -> Link:
    """A link, or the text alone where there is nothing to lead to."""
    return link(text, address) if address else Link(escaped(text))


def brief(said: str) -> Link:
    """The beginning of a long text, without a full stop; it stands in full where it came from."""
    text = " ".join(said.split())
    return Link(escaped(text if len(text) <= SAID else f"{text[:SAID].rstrip()} …").rstrip("."))


def picture(png: bytes, about: str) -> str:
    """A picture, in the page itself."""
    return f"![{escaped(about)}](data:image/png;base64,{b64encode(png).decode()})"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers go to the right. All cells but links are escaped."""
    kept = [list(row) for row in rows]
    if not kept:
        return ""
    right = [all(_is_number(row[at]) or row[at] is None for row in kept) for at in range(len(columns))]
    lines = [
        "| " + " | ".join(escaped(column) for column in columns) + " |",
        "|" + "|".join("---:" if number else "---" for number in right) + "|",
        *("| " + " | ".join(_cell(value) for value in row) + " |" for row in kept[:ROWS]),
    ]
    if len(kept) > ROWS:
        lines.append(f"\nThe first {ROWS} of {len(kept):,} are shown.")
    return "\n".join(lines)


def moment(time: datetime) -> str:
    """A time as people read it; the zone is said once, at the head of a page."""
    return f"{time:%Y-%m-%d %H:%M:%S}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:  # noqa: PLR0911 - a line a kind
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN
        return ""
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.2f}"
        case int():
            return f"{value:,}"
        case datetime():
            return moment(value)
        case Link():
            return value
        case _:
            return escaped(value)
