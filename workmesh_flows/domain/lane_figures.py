"""The words of a lane's figures: in sentences, and below the table of lanes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workmesh_flows.domain.lane import Direction


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of records: its column in the table of lanes, its words in a sentence, and the reason for it."""

    column: str
    words: str
    reason: str


FIGURES: Mapping[Direction, tuple[Figure, ...]] = {
    "push": (
        Figure("refused", "refused", "are retried by the next push"),
        Figure("parked", "parked", "wait for your decision"),
        Figure(
            "left",
            "left",
            "wait behind one of those or for the record that they depend on, or the lane stopped before them",
        ),
        Figure("unread", "still pending", "were not reached before the run's limit"),
    ),
    "pull": (
        Figure("refused", "failed", "could not be processed"),
        Figure("left", "not collected", "are not ready yet, or the lane stopped before them"),
    ),
}
"""All figures but ``done``; the others are shown only where they are not 0."""


def figures_in_words(direction: Direction, figures: Mapping[str, int]) -> str:
    """The figures that are not 0, by column, as the end of a sentence: ``, 1 refused, 93 left``."""
    return "".join(
        f", {number:,} {figure.words}"
        for figure in FIGURES[direction]
        if (number := figures.get(figure.column, 0))
    )


def explain_figures(direction: Direction) -> str:
    """What the columns of the table of lanes count: ```refused` are retried by the next push, ...``."""
    return ", ".join(f"`{figure.column}` {figure.reason}" for figure in FIGURES[direction]) + "."
