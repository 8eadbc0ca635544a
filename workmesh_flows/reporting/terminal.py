"""Tables in the terminal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd


PLAIN_WIDTH = 120
"""Width in characters where the output is not a terminal."""


def console() -> Console:
    """The console for tables: as wide as the terminal, or 120 characters for a file or a pipe."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=PLAIN_WIDTH)


def as_table(title: str, frame: pd.DataFrame) -> Group:
    """A frame as a table: numbers aligned right with thousands separators, missing values as empty cells."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    numeric = [bool(frame[column].map(_is_number).all()) for column in frame.columns]
    for column, number in zip(frame.columns, numeric, strict=True):
        table.add_column(str(column), justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in frame.itertuples(index=False, name=None):
        # Text: rich would read "[api]" in a plain string as markup, and fail on "[/]".
        table.add_row(*(Text(_cell(value)) for value in row))
    return Group(
        Text(title, style="table.title"), table
    )  # the table's own title would be as narrow as the table


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: object) -> str:  # noqa: PLR0911 - one case per type
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value != value:  # noqa: PLR0124 - NaN
            return ""
        case float():
            return f"{value:.2f}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
