"""What a soak was and what it found, for people."""

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
    "waiting": "LanePaused",
    "stopped by the node": "NodeUnavailable",
    "by the database": "StoreUnavailable",
}
"""What became of runs, and the kind of note that tells it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``figures`` are rows of the table, ``troubles`` what went wrong beside the promises."""

    seed: int
    history: Path
    figures: Sequence[tuple[str, str]]
    verdict: Verdict
    strikes: Counter[str]
    troubles: Sequence[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.verdict.clean and not self.troubles

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.figures)
        lines = [f"  {name:<{width}}  {value}" for name, value in self.figures]
        lines += self.verdict.sentences
        lines += self.troubles
        if self.clean:
            return "\n".join([*lines, f"clean (seed {self.seed})"])
        kept = f"VIOLATED: seed {self.seed}; the history and the logs are kept in {self.history.parent}"
        return "\n".join([*lines, kept])


def judge(  # noqa: PLR0917 - what is known beside the history
    history: Path,
    seed: int,
    seconds: dict[str, float],
    strikes: Counter[str],
    notes: Counter[str],
    troubles: Sequence[str],
) -> Outcome:
    """Read the history twice: to count, and to judge."""
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
    figures = [
        ("seconds", ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())),
        ("records", f"{verdict.records:,}; accepted by nodes {seen['acceptances']:,} times"),
        (
            "requests",
            f"{seen['requests']:,}: {', '.join(outcomes)}; 412 to a stale sender {seen['requests 412']:,}",
        ),
        ("faults", f"{faults.total():,}: {_listed(faults)}"),
        ("kills of masters", f"{strikes['kills']:,}; paused past the lease {strikes['pauses']:,}"),
        ("node restarts", f"{strikes['restarts']:,}; cut off {strikes['cuts']:,}"),
        ("hand-overs", f"{moves}; put off {notes['put off']:,}"),
        ("refusals", f"{seen['refusals']:,}; replayed {strikes['replayed']:,}"),
        ("runs", f"push {seen['runs of push']:,}, pull {seen['runs of pull']:,}"),
        ("lanes", ", ".join(f"{name} {notes[kind]:,}" for name, kind in LANES.items())),
        ("violations", ", ".join(f"{promise} {found}" for promise, found in verdict.counts.items())),
        ("other troubles", f"{len(troubles):,}"),
    ]
    return Outcome(seed, history, figures, verdict, strikes, troubles)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.most_common())
