"""The tables of a run's lanes, one for each direction, and what its lanes say about the reachability of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefect.runtime import flow_run

from workmesh_flows.domain.lane import Direction
from workmesh_flows.observability.artifacts import publish_lanes
from workmesh_flows.observability.publications import Publications
from workmesh_flows.runs.result import RunResult
from workmesh_flows.settings import artifact_key


@dataclass(frozen=True, slots=True)
class LaneTable:
    """The lanes of one direction that ran or report something, as rows, and the number of those with nothing to do.

    ``acted``: a record was sent, refused or pulled, so that the table differs from that of any run before.
    """

    service: str
    direction: Direction
    rows: Sequence[dict[str, Any]]
    idle: int
    acted: bool

    def publish(self, artifacts: Publications | None = None) -> None:
        """Publish the table; with ``artifacts`` only if it differs from the last one."""

        def create() -> None:
            publish_lanes(self.service, self.direction, self.rows, self.idle)

        if artifacts is None:
            create()
            return
        content = [{name: value for name, value in row.items() if name != "seconds"} for row in self.rows]
        if self.acted:  # published already, before the database was needed
            artifacts.publish(self._key, (content, str(flow_run.id)), lambda: None)
        else:
            artifacts.publish(self._key, (content, self.idle), create)

    @property
    def _key(self) -> str:
        return artifact_key(self.service, self.direction)


def lane_tables(result: RunResult) -> list[LaneTable]:
    """A table for each direction of the run."""
    services = dict.fromkeys(
        (lane.service, lane.direction) for lane in (*(each.lane for each in result.lanes), *result.idle)
    )
    tables = []
    for service, direction in sorted(services, key=lambda key: (key[0], key[1] == "pull")):
        lanes = [each for each in result.lanes if each.lane.direction == direction]
        idle = sum(lane.direction == direction for lane in result.idle)
        acted = any(each.acted for each in lanes)
        tables.append(LaneTable(service, direction, [each.row() for each in lanes], idle, acted))
    return tables


def doubtful_nodes(result: RunResult) -> dict[str, bool]:
    """By node, what a saved probe may not say about whether it works, since the lanes of the run say otherwise."""
    done = {each.lane.node: False for each in result.lanes if each.ran and each.state == "done"}
    stopped = {each.lane.node: True for each in result.lanes if each.ran and each.state == "stopped"}
    return done | stopped
