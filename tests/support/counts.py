"""The counts of a lane report, with a name for each."""

from __future__ import annotations

from dataclasses import dataclass

from workmesh_flows.domain.reports import PullReport, PushReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Records by outcome; their sum is the number of selected records. A push and a pull have fields of their own."""

    pushed: int = 0
    refused: int = 0
    parked: int = 0
    waiting: int = 0
    pulled: int = 0
    failed: int = 0
    in_flight: int = 0

    @property
    def selected(self) -> int:
        """The sum of all outcomes."""
        pushes = self.pushed + self.refused + self.parked + self.waiting
        return pushes + self.pulled + self.failed + self.in_flight


NOTHING = Counts()
"""The counts of a lane that selected no record."""


def counts(report: object) -> Counts:
    """The counts of a report, whose outcomes must add up to ``selected``, also where the lane stopped."""
    if isinstance(report, PushReport):
        found = Counts(
            pushed=report.pushed, refused=report.refused, parked=report.parked, waiting=report.waiting
        )
    else:
        assert isinstance(report, PullReport)
        found = Counts(pulled=report.pulled, failed=report.failed, in_flight=report.in_flight)
    assert report.selected == found.selected
    return found
