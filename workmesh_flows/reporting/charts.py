"""Charts as PNG without a background, in colors that are legible on dark and light pages.

They are drawn without pyplot, whose global state is shared between threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, DPI = 7.2, 110
"""Inches, and dots per inch: as wide as a page in Prefect's UI."""
INK, FAINT = "#7b8591", "#7b859155"
"""Of middle brightness: texts and lines have about the same contrast on white and on black."""
HELD, CAP, PENDING, PROCESSED = "#3d8bc4", "#d9534f", "#d98324", "#3d8bc4"
ROW = 0.32
"""Height of a bar's row in inches."""
BAR = 3.0
"""Width of a bar of the processed records, in points."""


def load_chart(nodes: Sequence[str], held: Sequence[int], caps: Sequence[int | None], unit: str) -> bytes:
    """One bar per node for what it holds, with a mark at its cap if it has one; the first node on top."""
    capped = ", the red mark is the cap" if any(cap is not None for cap in caps) else ""
    figure, axes = _bars(nodes, held, f"{unit} held by each node{capped}", HELD)
    for place, cap in enumerate(caps):
        if cap is not None:
            axes.plot([cap, cap], [place - 0.4, place + 0.4], color=CAP, linewidth=2)
    axes.set_xlim(left=0)  # after the marks, which may be right of all bars
    return _png(figure)


def queue_chart(nodes: Sequence[str], workloads: Sequence[int]) -> bytes:
    """One bar per node for the length of its queue; the first node on top."""
    figure, axes = _bars(nodes, workloads, "records in the queue of each node", PENDING)
    axes.set_xlim(left=0)
    return _png(figure)


def history_chart(times: Sequence[datetime], pending: Sequence[int], processed: Sequence[int]) -> bytes:
    """Pending records over time, and as bars the records processed since the time before; one time for each value."""
    figure = _figure(3.4)
    above, below = figure.subplots(2, 1, sharex=True)
    moments: list[Any] = list(times)
    above.fill_between(moments, list(pending), color=PENDING, alpha=0.25, step="post")
    above.step(
        moments, list(pending), color=PENDING, where="post", linewidth=1.6
    )  # it lasts until the next run
    below.vlines(
        moments, 0, list(processed), color=PROCESSED, linewidth=BAR
    )  # no area: runs may be far apart
    for axes, values, title in (
        (above, pending, "records pending"),
        (below, processed, "records processed, counted at the end of each run"),
    ):
        _plain(axes)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.set_ylim(0, max(1.1 * max(values, default=0), 1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(axis="y", color=FAINT)
    locator = AutoDateLocator()
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    below.xaxis.get_offset_text().set_color(INK)
    return _png(figure)


def _bars(nodes: Sequence[str], values: Sequence[int], title: str, color: str) -> tuple[Figure, Axes]:
    figure = _figure(0.9 + ROW * max(len(nodes), 1))
    axes = _axes(figure)
    places = range(len(nodes))
    axes.barh(places, values, height=0.6, color=color)
    axes.set_yticks(places, labels=list(nodes))
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # entities and records are indivisible
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.grid(axis="x", color=FAINT)
    return figure, axes


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="none")


def _axes(figure: Figure) -> Axes:
    axes: Axes = figure.subplots()
    _plain(axes)
    return axes


def _plain(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9, length=0)


def _png(figure: Figure) -> bytes:
    figure.tight_layout()
    written = BytesIO()
    figure.savefig(written, format="png", transparent=True)
    return written.getvalue()
