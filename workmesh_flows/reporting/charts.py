"""Charts as PNG, with their own background, so that they are legible on dark and light pages.

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
GROUND, INK, FAINT = "#ffffff", "#1f2933", "#d9e2ec"
HELD, CAP, PENDING, PROCESSED = "#2f6f9f", "#c0392b", "#d98324", "#2f6f9f"
ROW = 0.32
"""Height of a bar's row in inches."""


def load_chart(nodes: Sequence[str], held: Sequence[int], caps: Sequence[int | None], unit: str) -> bytes:
    """One bar per node for what it holds, with a mark at its cap if it has one; the first node on top."""
    figure = Figure(figsize=(WIDTH, 0.9 + ROW * max(len(nodes), 1)), dpi=DPI, facecolor=GROUND)
    axes = _axes(figure)
    places = range(len(nodes))
    axes.barh(places, held, height=0.6, color=HELD)
    for place, cap in zip(places, caps, strict=True):
        if cap is not None:
            axes.plot([cap, cap], [place - 0.4, place + 0.4], color=CAP, linewidth=2)
    axes.set_yticks(places, labels=list(nodes))
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # entities are indivisible
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    capped = ", the red mark is the cap" if any(cap is not None for cap in caps) else ""
    axes.set_title(f"{unit} held by each node{capped}", loc="left", fontsize=10, color=INK)
    axes.grid(axis="x", color=FAINT)
    return _png(figure)


def history_chart(times: Sequence[datetime], pending: Sequence[int], rate: Sequence[float]) -> bytes:
    """Pending records, and records processed per minute, over time; one time for each value."""
    figure = Figure(figsize=(WIDTH, 3.4), dpi=DPI, facecolor=GROUND)
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, values, color, title, way in (
        (above, pending, PENDING, "records pending", "post"),  # a state lasts until the next measurement
        (below, rate, PROCESSED, "records processed per minute", "pre"),  # a rate applies to the time before
    ):
        _plain(axes)
        moments: list[Any] = list(times)
        axes.fill_between(moments, list(values), color=color, alpha=0.25, step=way)
        axes.step(moments, list(values), color=color, where=way, linewidth=1.6)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.set_ylim(0, max(1.1 * max(values, default=0), 1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(axis="y", color=FAINT)
    locator = AutoDateLocator()
    below.xaxis.set_major_locator(locator)
    below.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return _png(figure)


def _axes(figure: Figure) -> Axes:
    axes: Axes = figure.subplots()
    _plain(axes)
    return axes


def _plain(axes: Axes) -> None:
    axes.set_facecolor(GROUND)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9, length=0)


def _png(figure: Figure) -> bytes:
    figure.tight_layout()
    written = BytesIO()
    figure.savefig(written, format="png", facecolor=GROUND)
    return written.getvalue()
