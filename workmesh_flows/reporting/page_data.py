"""The input of the pages about a mesh: its data, and the targets of their links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from workmesh_flows.adapters.store.conditions import Condition
from workmesh_flows.adapters.store.refused_list import RefusedRecord
from workmesh_flows.operations.status import Status

if TYPE_CHECKING:
    import pandas as pd


class Links(Protocol):
    """Addresses for the links of a page; an empty text means no link."""

    def node(self, name: str) -> str: ...
    def block(self, node: str) -> str: ...
    def service(self, name: str) -> str: ...
    def runs(self, service: str) -> Sequence[Run]: ...
    def actions(self, service: str | None) -> Sequence[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """A flow run as listed on a page."""

    name: str
    address: str
    state: str
    started: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A flow run that failed: its flow, ``<service>.<action>`` or ``mesh.<action>``, and why it failed."""

    flow: str
    name: str
    address: str
    ended: datetime
    message: str

    @property
    def service(self) -> str | None:
        """The service of the flow; None for a flow of the mesh."""
        service, _, _ = self.flow.rpartition(".")
        return None if service == "mesh" else service


@dataclass(frozen=True, slots=True)
class PageData:
    """The input of all pages.

    ``history`` has the services tables of earlier runs, oldest first; a complete one starts with the first run.
    ``failed_runs`` are the runs of the mesh that failed in the last hour, newest first.
    """

    now: datetime
    status: Status
    conditions: Sequence[Condition]
    lanes: pd.DataFrame
    refused: Sequence[RefusedRecord]
    history: pd.DataFrame
    history_complete: bool = False
    failed_runs: Sequence[FailedRun] = ()
