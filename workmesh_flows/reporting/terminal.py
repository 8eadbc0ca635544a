"""Tables in the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd


UNLIMITED = 1_000_000
"""Width in characters where the output is not a terminal, and COLUMNS is not set: no line is wrapped."""
TEXT_WIDTH = 20
"""Characters to which a column of longer texts may shrink."""
WORD_WIDTH = 36
"""Characters of a word of a longer text that are never cut."""


def console() -> Console:
    """The console for tables: as wide as COLUMNS says, or as the terminal; without limit for a file or a pipe."""
    terminal = Console()
    return terminal if terminal.is_terminal or "COLUMNS" in os.environ else Console(width=UNLIMITED)


def print_whole(terminal: Console, table: RenderableType) -> None:
    """Print a table; a word that is longer than the terminal is wide is not cut off."""
    terminal.print(table, crop=False)


def as_table(title: str, frame: pd.DataFrame) -> Group:
    """A frame as a table: numbers aligned right with thousands separators, missing values as empty cells.

    Where the columns do not fit side by side, each row is a block with a line for each column that is not empty. A word
    in a column that has only single words, such as ids and names, is never cut, however long it is.
    """
    numeric = [bool(frame[column].map(_is_number).all()) for column in frame.columns]
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    fitting = _FittingTable([str(column) for column in frame.columns], numeric, rows)
    return Group(
        Text(title, style="table.title"), fitting
    )  # the table's own title would be as narrow as the table


@dataclass(frozen=True, slots=True)
class _FittingTable:
    """A table, or one block per row where the console is too narrow for it."""

    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Called by rich, which knows the width."""
        widths = self._widths(options.max_width)
        yield self._blocks(options.max_width) if widths is None else self._table(widths)

    def _widths(self, most: int) -> list[int] | None:
        """The width of each column, shrunk until the table fits; None if it does not fit without cut words.

        Titles wrap before values do; the widest column shrinks first.
        """
        values = [[row[at] for row in self.rows] for at in range(len(self.columns))]
        titles = [_least_width(title) for title in self.columns]
        whole = [max([title, *map(cell_len, column)]) for title, column in zip(titles, values, strict=True)]
        least = [
            wide if _has_words(column) else max([title, *map(_least_width, column)])
            for title, column, wide in zip(titles, values, whole, strict=True)
        ]
        widths = [max(cell_len(title), wide) for title, wide in zip(self.columns, whole, strict=True)]
        excess = sum(widths) + len(widths) - 1 - most
        for floor in (whole, least):
            excess = _shrink(widths, floor, excess)
        return widths if excess <= 0 else None

    def _table(self, widths: Sequence[int]) -> Table:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
        for column, number, width in zip(self.columns, self.numeric, widths, strict=True):
            table.add_column(column, justify="right" if number else "left", width=width, overflow="fold")
        for row in self.rows:
            # Text: rich would read "[api]" in a plain string as markup, and fail on "[/]".
            table.add_row(*(Text(cell) for cell in row))
        return table

    def _blocks(self, most: int) -> Text:
        """Each row as lines of a column's name and its value, which wraps at words; a longer word is not cut."""
        if not self.rows:
            return Text("(no rows)")
        wide = max(map(len, self.columns))
        blocks = [
            "\n".join(
                line
                for column, cell in zip(self.columns, row, strict=True)
                if cell
                for line in _wrapped(f"{column:{wide}}  {cell}", most)
            )
            for row in self.rows
        ]
        return Text("\n\n".join(blocks), no_wrap=True, overflow="ignore")


def _wrapped(line: str, most: int) -> list[str]:
    return wrap(line, most, break_long_words=False, break_on_hyphens=False)


def _shrink(widths: list[int], floor: Sequence[int], excess: int) -> int:
    """Shrink the widest column by one until nothing is in excess, or all are at their floor; return what is left."""
    while excess > 0 and (above := [at for at, wide in enumerate(widths) if wide > floor[at]]):
        widths[max(above, key=widths.__getitem__)] -= 1
        excess -= 1
    return excess


def _least_width(cell: str) -> int:
    """The width to which a cell may shrink: to its longest word, and a longer text to a width in which it is readable."""
    word = max(map(cell_len, cell.split()), default=0)
    return max(min(word, WORD_WIDTH), TEXT_WIDTH if cell_len(cell) > TEXT_WIDTH else 0)


def _has_words(cells: Sequence[str]) -> bool:
    """Whether each cell is one word, such as an id."""
    return not any(len(cell.split()) > 1 for cell in cells)


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
            return " ".join(str(value).splitlines())
