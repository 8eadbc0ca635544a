"""The result of a soak as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workmesh_flows.testing import (
    EntityMoved,
    LaneReported,
    RecordAccepted,
    RequestSent,
    Verdict,
    check_history,
    read_history,
)

LANES = {
    "lost": "LaneLost",
    "busy": "LaneBusy",
    "paused": "LanePaused",
    "stopped by the node": "NodeUnavailable",
    "stopped by the database": "StoreUnavailable",
}
"""The outcomes of runs, with the kind of their lines in the log."""


@dataclass(frozen=True, slots=True)
class SoakResult:
    """``rows`` are those of the table; ``problems`` are unexpected events and unfinished work."""

    seed: int
    history: Path
    rows: Sequence[tuple[str, str]]
    verdict: Verdict
    disruptions: Counter[str]
    problems: Sequence[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.verdict.clean and not self.problems

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        lines = [f"  {name:<{width}}  {value}" for name, value in self.rows]
        lines += self.verdict.sentences
        lines += self.problems
        if self.clean:
            return "\n".join([*lines, f"clean (seed {self.seed})"])
        failed = f"FAILED: seed {self.seed}; the history and the logs are in {self.history.parent}"
        return "\n".join([*lines, failed])


def summarize(  # noqa: PLR0917 - the results beside the history
    history: Path,
    seed: int,
    seconds: dict[str, float],
    disruptions: Counter[str],
    logged: Counter[str],
    problems: Sequence[str],
) -> SoakResult:
    """Read the history twice: to count its events, and to check it."""
    seen, faults = Counter[str](), Counter[str]()
    for event in read_history(history):
        match event:
            case RequestSent():
                seen["requests"] += 1
                seen[f"requests {event.outcome}"] += 1
                seen["requests 412"] += event.code == 412
                faults[event.fault or ""] += 1
            case LaneReported():
                seen[f"runs of {event.direction}"] += 1
                seen["refusals"] += event.refused
            case RecordAccepted():
                seen["acceptances"] += 1
            case EntityMoved():
                seen["repushes" if event.source == event.target else "reassignments"] += 1
    del faults[""]
    verdict = check_history(read_history(history), settled=True)
    outcomes = (
        f"{name} {seen[f'requests {name}']:,}" for name in ("accepted", "answered", "lost", "withheld")
    )
    moves = f"reassigned {seen['reassignments']:,}, sent again {seen['repushes']:,}"
    rows = [
        ("seconds", ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())),
        ("records", f"{verdict.records:,}; acceptances by nodes {seen['acceptances']:,}"),
        (
            "requests",
            f"{seen['requests']:,}: {', '.join(outcomes)}; rejected with 412 {seen['requests 412']:,}",
        ),
        ("faults", f"{faults.total():,}: {_listed(faults)}"),
        ("kills of masters", f"{disruptions['kills']:,}; pauses beyond the lease {disruptions['pauses']:,}"),
        ("node restarts", f"{disruptions['restarts']:,}; network cuts {disruptions['cuts']:,}"),
        ("moves", f"{moves}; postponed {logged['postponed']:,}"),
        ("refusals", f"{seen['refusals']:,}; replayed {disruptions['replayed']:,}"),
        ("runs", f"push {seen['runs of push']:,}, pull {seen['runs of pull']:,}"),
        ("lanes", ", ".join(f"{name} {logged[kind]:,}" for name, kind in LANES.items())),
        ("violations", ", ".join(f"{guarantee} {found}" for guarantee, found in verdict.counts.items())),
        ("other problems", f"{len(problems):,}"),
    ]
    return SoakResult(seed, history, rows, verdict, disruptions, problems)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.most_common())
