"""The table of ratios: what they reach, what we reach, what is required, and whether we do."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

TURNS = 3
TITLE = 44


def print_header(title: str) -> None:
    """The heads of the columns that :func:`print_line` fills."""
    print(f"\n{title:{TITLE}}{'baseline':>11}{'ours':>11}{'ratio':>8}  required", flush=True)


def print_line(title: str, theirs: float, ours: float, *, least: float = 0, most: float = inf) -> None:
    """Ours over theirs, beside the bounds of the ratio; without bounds it is for comparison only."""
    ratio = ours / theirs
    bounds = [f"at least {least:g}"] if least else []
    bounds += [f"at most {most:g}"] if most < inf else []
    met = "met" if least <= ratio <= most else "NOT MET"
    told = f"{' and '.join(bounds)}: {met}" if bounds else "-"
    print(f"{title:{TITLE}}{theirs:11,.0f}{ours:11,.0f}{ratio:8.2f}  {told}", flush=True)


def best_of(*runs: Callable[[], float]) -> list[float]:
    """The highest figure of each; they take turns, so that noise hits all of them."""
    best = [0.0] * len(runs)
    for _ in range(TURNS):
        best = [max(figure, run()) for figure, run in zip(best, runs, strict=True)]
    return best
