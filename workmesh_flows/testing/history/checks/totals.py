"""Totals: the counts of a lane report add up to the number of selected records."""

from __future__ import annotations

from collections.abc import Iterator

from workmesh_flows.testing.history.index import HistoryIndex
from workmesh_flows.testing.history.verdict import Guarantee, Violation

PUSH_COUNTS = ("pushed", "refused", "parked", "waiting")
PULL_COUNTS = ("pulled", "failed", "in_flight")


def find_wrong_totals(index: HistoryIndex) -> Iterator[Violation]:
    """Yield reports whose counts do not add up to ``selected``, or of which one is negative."""
    for report in index.reports:
        names = PUSH_COUNTS if report.direction == "push" else PULL_COUNTS
        counts = {name: getattr(report, name) for name in names}
        if report.selected != sum(counts.values()) or min(counts.values()) < 0:
            summed = " + ".join(f"{count} {name}" for name, count in counts.items())
            sentence = f"a run selected {report.selected}, but reports {summed}"
            yield Violation(Guarantee.TOTALS, report.service, report.protocol, report.node, (), sentence)
