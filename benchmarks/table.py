"""The table of results: the baseline, Workmesh, the ratio, and whether it meets the requirement."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

TURNS = 3
TITLE = 44


def print_header(title: str) -> None:
    """Print the column headings for `print_line`."""
    print(f"\n{title:{TITLE}}{'baseline':>11}{'workmesh':>11}{'ratio':>8}  required", flush=True)


def print_line(title: str, theirs: float, ours: float, *, least: float = 0, most: float = inf) -> None:
    """Print Workmesh over the baseline, and the required ratio; without one the line is for comparison only."""
    ratio = ours / theirs
    bounds = [f"at least {least:g}"] if least else []
    bounds += [f"at most {most:g}"] if most < inf else []
    met = "met" if least <= ratio <= most else "NOT MET"
    requirement = f"{' and '.join(bounds)}: {met}" if bounds else "-"
    print(f"{title:{TITLE}}{theirs:11,.0f}{ours:11,.0f}{ratio:8.2f}  {requirement}", flush=True)


def best_of(*runs: Callable[[], float]) -> list[float]:
    """The highest result of each way; the ways take turns, so that noise affects all of them."""
    best = [0.0] * len(runs)
    for _ in range(TURNS):
        best = [max(figure, run()) for figure, run in zip(best, runs, strict=True)]
    return best
