"""Tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd


def as_table(title: str, frame: pd.DataFrame) -> Table:
    """A frame as a table: numbers to the right with thousands marked, nothing where there is no value."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    numeric = [bool(frame[column].map(_is_number).all()) for column in frame.columns]
    for column, number in zip(frame.columns, numeric, strict=True):
        table.add_column(str(column), justify="right" if number else "left", no_wrap=number)
    for row in frame.itertuples(index=False, name=None):
        table.add_row(*(_cell(value) for value in row))
    return table


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value != value:  # noqa: PLR0124 - NaN
            return ""
        case float():
            return f"{value:.2f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
