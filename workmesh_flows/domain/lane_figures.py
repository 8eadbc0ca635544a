"""The words of a lane's figures: in sentences, and below the table of lanes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workmesh_flows.domain.lane import Direction

SUCCEEDED: Mapping[Direction, str] = {"push": "pushed", "pull": "pulled"}
"""The figure of the records that succeeded."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of records that did not succeed: its name in a report, and the reason for it."""

    name: str
    reason: str

    @property
    def words(self) -> str:
        """The name in sentences and as the title of a column."""
        return words(self.name)


FIGURES: Mapping[Direction, tuple[Figure, ...]] = {
    "push": (
        Figure("refused", "are retried by the next push"),
        Figure("parked", "wait for your decision"),
        Figure(
            "waiting",
            "wait behind one of those or for the record that they depend on, or the lane stopped before them",
        ),
        Figure("not_reached", "are pending, but the run reached its limit before them"),
    ),
    "pull": (
        Figure("failed", "could not be processed by their node"),
        Figure("in_flight", "are not processed yet, or the lane stopped before them"),
    ),
}
"""All figures but those of success; they are shown only where they are not 0."""


def words(name: str) -> str:
    """The title of a column, from its name in code: ``not reached``."""
    return name.replace("_", " ")


def figures_in_words(direction: Direction, figures: Mapping[str, int]) -> str:
    """The figures that are not 0, by name, as the end of a sentence: ``, 1 refused, 93 waiting``."""
    return "".join(
        f", {number:,} {figure.words}"
        for figure in FIGURES[direction]
        if (number := figures.get(figure.name, 0))
    )


def idle_in_words(direction: Direction, number: int) -> str:
    """How many lanes had nothing to do, as the end of a sentence: ``, 998 lanes have nothing pending``; empty for none."""
    if not number:
        return ""
    have = "lane has" if number == 1 else "lanes have"
    return f", {number:,} {have} nothing {'pending' if direction == 'push' else 'in flight'}"


def explain_figures(direction: Direction) -> str:
    """What the columns of the table of lanes count: ```refused` are retried by the next push, ...``."""
    return ", ".join(f"`{figure.words}` {figure.reason}" for figure in FIGURES[direction]) + "."
