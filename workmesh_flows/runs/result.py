"""What a run did: lane by lane, and in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from workmesh_flows.domain.reports import AssignReport, MoveReport, PullReport, PushReport
from workmesh_flows.planning.stored_plan import StoredPlan

LaneState: TypeAlias = Literal["done", "busy", "stopped", "behind", "disabled"]
Direction: TypeAlias = Literal["push", "pull"]
Report: TypeAlias = PushReport | PullReport


@dataclass(frozen=True, slots=True)
class LaneResult:
    """What became of one lane: ``behind`` is not begun, because the lane before it stopped or was busy.

    ``paused``: it makes no request before its pause is over.
    """

    service: str
    direction: Direction
    protocol: str
    node: str
    state: LaneState
    report: Report | None = None
    reason: str = ""
    paused: bool = False

    def row(self) -> dict[str, Any]:
        """For the lanes table."""
        report = self.report
        done = report.pushed if isinstance(report, PushReport) else report.pulled if report else 0
        bad = report.refused if isinstance(report, PushReport) else report.failed if report else 0
        push = report if isinstance(report, PushReport) else PushReport(self.protocol, self.node)
        return {
            "node": self.node,
            "protocol": self.protocol,
            "state": self.state,
            "done": done,
            "refused": bad,
            "parked": push.parked,
            "left": report.left if report else 0,
            "unread": push.unread,
            "seconds": round(report.seconds, 1) if report else 0.0,
            "reason": self.reason
            or "; ".join(f"{key}: {why}" for key, why in (report.reasons if report else {}).items()),
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did, in a sentence and in figures; ``assigning``: all entities without a node were to get one."""

    message: str
    lanes: Sequence[LaneResult] = ()
    assigned: AssignReport | None = None
    plans: Sequence[StoredPlan] = ()
    moves: Sequence[MoveReport] = ()
    assigning: bool = False


def counted(number: int, word: str, several: str = "") -> str:
    """A number with its word."""
    return f"{number:,} {word if number == 1 else several or word + 's'}"


NAMED = 5
"""Entities with the same reason that a line names."""


def by_reason(reasons: Sequence[tuple[Any, str]]) -> list[tuple[str, str]]:
    """For each reason the first entities that have it, and the reason: a line each, however many entities there are."""
    alike: dict[str, list[str]] = {}
    for entity, reason in reasons:
        alike.setdefault(reason, []).append(str(entity))
    return [
        (
            ", ".join(entities[:NAMED])
            + (f" and {len(entities) - NAMED:,} more" if len(entities) > NAMED else ""),
            reason,
        )
        for reason, entities in alike.items()
    ]
