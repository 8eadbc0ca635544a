"""One run over one lane, told in the history; what may happen to it is noted, what may not is noted as such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from sqlalchemy import Engine

from tests.reliability.soak.notes import UNEXPECTED, Notes
from tests.reliability.soak.world import SERVICE, service
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Node
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import (
    LaneBusy,
    LaneLost,
    LanePaused,
    LaneStopped,
    NodeUnavailable,
    NotFlagged,
    StoreUnavailable,
)
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.testing import History, record_report

Lane: TypeAlias = tuple[LaneContext, Literal["push", "pull"]]


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one process over the lanes of these nodes."""

    engine: Engine
    history: History
    notes: Notes
    limits: Limits
    nodes: Sequence[Node]

    def lanes(self, holder: str) -> list[Lane]:
        """Node by node, protocols as declared, push before pull."""
        return [
            (LaneContext(self.engine, service, protocol, node, holder, self.limits), direction)
            for node in self.nodes
            for protocol in service.protocols
            for direction in ("push", "pull")
        ]

    def run(self, lane: Lane) -> None:
        work, direction = lane
        name = f"{direction} {work.protocol.name} {work.node.name} by {work.holder}"
        with self.notes.watching(name):
            try:
                report = push_lane(work) if direction == "push" else pull_lane(work)
            except (LaneBusy, LanePaused, LaneLost) as error:
                self.notes.write(type(error).__name__, f"{name}: {error.reason}")
            except StoreUnavailable as error:
                self.notes.write("StoreUnavailable", f"{name}: {error}")
            except LaneStopped as stopped:
                record_report(self.history, cast("PushReport | PullReport", stopped.report), service=SERVICE)
                expected = isinstance(stopped.__cause__, NodeUnavailable | StoreUnavailable | NotFlagged)
                kind = type(stopped.__cause__).__name__ if expected else UNEXPECTED
                self.notes.write(kind, f"{name}: {stopped}")
            else:
                record_report(self.history, report, service=SERVICE)
