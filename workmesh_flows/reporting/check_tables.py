"""What a check of a mesh's database found, as tables and in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import pandas as pd

from workmesh_flows.operations.check import Finding, Level

_PLURALS = {Level.PROBLEM: "problems", Level.ADVICE: "advice", Level.NOTE: "notes"}


def findings_tables(findings: Sequence[Finding]) -> Iterator[tuple[str, pd.DataFrame]]:
    """A titled table for each service, in the order of the findings."""
    for service, group in groupby(findings, key=lambda finding: finding.service):
        rows = [(str(f.level), f.protocol or "", f.where, f.what, f.to_do) for f in group]
        frame = pd.DataFrame(rows, columns=["level", "protocol", "where", "what", "what to do"])
        yield service or "Workmesh tables", frame


def count_findings(findings: Sequence[Finding]) -> str:
    """The number of findings of each level."""
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    parts = [f"{_PLURALS[level]}: {count:,}" for level, count in counts.items() if count]
    return ", ".join(parts) or "no problems, nothing is missing"
