"""What a run did: lane by lane, and in a sentence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from workmesh_flows.adapters.store.refused_list import RefusedRecord
from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.pruned import Pruned
from workmesh_flows.domain.reports import NAMED, AssignReport, MoveReport, PullReport, PushReport
from workmesh_flows.errors import RunFailed
from workmesh_flows.planning.assignment.plan import AssignmentPlan
from workmesh_flows.planning.stored_plan import StoredPlan

LaneState: TypeAlias = Literal["done", "busy", "stopped", "behind", "disabled"]
LaneReport: TypeAlias = PushReport | PullReport


@dataclass(frozen=True, slots=True)
class LaneResult:
    """How a lane ended; ``behind``: it did not start, because the lane before it on its node is not done.

    ``report`` is None where the lane did not start. ``until``: the lane makes no request before this time;
    ``asked``: the node asked for this pause, otherwise it is the back-off of the circuit breaker. ``ran``: the lane had
    a task run.
    """

    lane: Lane
    state: LaneState
    report: LaneReport | None = None
    reason: str = ""
    until: datetime | None = None
    asked: bool = False
    ran: bool = False

    @property
    def acted(self) -> bool:
        """Whether a record was sent, refused or pulled."""
        idle = {"waiting", "not_reached", "in_flight"}
        figures = self.report.figures if self.report else {}
        return any(number for name, number in figures.items() if name not in idle)

    def row(self) -> dict[str, Any]:
        """The lane's row in the table of lanes, and the figures of its event, by name."""
        nothing = PushReport if self.lane.direction == "push" else PullReport
        report = self.report or nothing(self.lane.protocol, self.lane.node)
        return {
            "node": self.lane.node,
            "protocol": self.lane.protocol,
            "state": self.state,
            **report.figures,
            "seconds": round(report.seconds, 1),
            "reason": self.reason or "; ".join(f"{key}: {why}" for key, why in report.reasons.items()),
        }


@dataclass(frozen=True, slots=True)
class LaneResults:
    """The results of the lanes of one direction that ran or report something, and the lanes that had nothing to do."""

    lanes: Sequence[LaneResult] = ()
    idle: Collection[Lane] = frozenset()


@dataclass(frozen=True, slots=True)
class PlannedAssignment:
    """The plan of a dry run for one service; ``excluded`` are the nodes that would get no entities, with the reason."""

    service: str
    plan: AssignmentPlan
    excluded: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did: ``message`` is its summary in one sentence, the other fields have the figures.

    ``assigned`` has a report of each service whose entities were assigned, ``planned`` what a dry run would assign, and
    ``placed`` the node of each entity that the run was to assign by name.
    ``assigning``: the run tried to assign all entities without a node. ``now``: it ended the pauses of its lanes.
    ``decided``: the refused records as they were before the run decided about some of them. ``idle`` are the selected
    lanes that had nothing to do. ``refusal``: why the plans of a dry run would not be applied.
    ``pruned``: what a prune deleted, or would delete, of each kind.
    """

    message: str
    lanes: Sequence[LaneResult] = ()
    assigned: Sequence[AssignReport] = ()
    planned: PlannedAssignment | None = None
    placed: Sequence[tuple[str, str]] = ()
    plans: Sequence[StoredPlan] = ()
    moves: Sequence[MoveReport] = ()
    assigning: bool = False
    now: bool = False
    decided: Sequence[RefusedRecord] = ()
    idle: Collection[Lane] = frozenset()
    refusal: str = ""
    pruned: Sequence[Pruned] = ()


def failed_run(message: str, result: RunResult) -> RunFailed:
    """The error of a run that did only a part; ``result`` is that part."""
    error = RunFailed(message)
    error.report = result
    return error


def holders_in_words(lanes: Sequence[LaneResult]) -> str:
    """Who holds the busy lanes and until when, in parentheses; empty if none is busy."""
    held = by_reason([(each.lane, each.reason) for each in lanes if each.state == "busy"])
    return f" ({'; '.join(f'{names}: {reason}' for names, reason in held)})" if held else ""


def by_reason(reasons: Sequence[tuple[Any, str]]) -> list[tuple[str, str]]:
    """Group entities by reason: for each reason the first entities, as one text, and the reason."""
    grouped: dict[str, list[str]] = {}
    for entity, reason in reasons:
        grouped.setdefault(reason, []).append(str(entity))
    return [
        (
            ", ".join(entities[:NAMED])
            + (f" and {len(entities) - NAMED:,} more" if len(entities) > NAMED else ""),
            reason,
        )
        for reason, entities in grouped.items()
    ]
