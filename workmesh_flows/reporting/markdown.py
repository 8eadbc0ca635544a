"""Markdown that Prefect's pages render: tables, links, pictures as data URLs."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime

import pandas as pd

SPECIAL = re.compile(r"([\\`*_\[\]<>|])")
LONGEST_TEXT = 200
"""Characters after which :func:`brief` cuts a text."""
ROWS = 50
"""Rows of a table on a page; table artifacts have them all."""


class Link(str):
    """Markdown that must not be escaped again."""

    __slots__ = ()


def escaped(text: object) -> str:
    """A text with Markdown escaped, on one line: in a table a line break or a bar would end the cell."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def link(text: object, address: str) -> Link:
    """A Markdown link."""
    return Link(f"[{escaped(text)}]({address})")


def linked(text: str, address: str) -> Link:
    """A link, or the text alone if the address is empty."""
    return link(text, address) if address else Link(escaped(text))


def brief(text: str) -> Link:
    """A text on one line, cut if it is long, without a final full stop; its source has it in full."""
    line = " ".join(text.split())
    short = line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT].rstrip()} …"
    return Link(escaped(short).rstrip("."))


def picture(png: bytes, about: str) -> str:
    """A picture, embedded in the page; ``about`` is its alternative text."""
    return f"![{escaped(about)}](data:image/png;base64,{b64encode(png).decode()})"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, total: int = 0) -> str:
    """A table with numbers aligned right; all cells except links are escaped. No rows give an empty text.

    ``total`` is the number of rows where it is larger than that of the given ones.
    """
    cells = [list(row) for row in rows]
    if not cells:
        return ""
    right = [all(_is_number(row[at]) or row[at] is None for row in cells) for at in range(len(columns))]
    lines = [
        "| " + " | ".join(escaped(column) for column in columns) + " |",
        "|" + "|".join("---:" if number else "---" for number in right) + "|",
        *("| " + " | ".join(_cell(value) for value in row) + " |" for row in cells[:ROWS]),
    ]
    if (number := max(len(cells), total)) > ROWS:
        lines.append(f"\nThe first {ROWS} of {number:,} are shown.")
    return "\n".join(lines)


def moment(time: datetime) -> str:
    """Date and time without the zone, which the head of a page names once."""
    return f"{time:%Y-%m-%d %H:%M:%S}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:  # noqa: PLR0911 - one line per type
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
