"""Runs of lanes, recorded in the history; their errors are logged, unexpected ones as such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from sqlalchemy import Engine

from tests.reliability.soak.mail_mesh import SERVICE, service
from tests.reliability.soak.run_log import UNEXPECTED, RunLog
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

LaneToRun: TypeAlias = tuple[LaneContext, Literal["push", "pull"]]


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of one process over the lanes of some nodes."""

    engine: Engine
    history: History
    log: RunLog
    limits: Limits
    nodes: Sequence[Node]

    def lanes(self, holder: str) -> list[LaneToRun]:
        """All lanes: by node, then by protocol as declared, push before pull."""
        return [
            (LaneContext(self.engine, service, protocol, node, holder, self.limits), direction)
            for node in self.nodes
            for protocol in service.protocols
            for direction in ("push", "pull")
        ]

    def run(self, lane: LaneToRun) -> None:
        context, direction = lane
        name = f"{direction} {context.protocol.name} {context.node.name} by {context.holder}"
        with self.log.catching(name):
            try:
                report = push_lane(context) if direction == "push" else pull_lane(context)
            except (LaneBusy, LanePaused, LaneLost) as error:
                self.log.write(type(error).__name__, f"{name}: {error.reason}")
            except StoreUnavailable as error:
                self.log.write("StoreUnavailable", f"{name}: {error}")
            except LaneStopped as stopped:
                record_report(self.history, cast("PushReport | PullReport", stopped.report), service=SERVICE)
                expected = isinstance(stopped.__cause__, NodeUnavailable | StoreUnavailable | NotFlagged)
                kind = type(stopped.__cause__).__name__ if expected else UNEXPECTED
                self.log.write(kind, f"{name}: {stopped}")
            else:
                record_report(self.history, report, service=SERVICE)
